package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// ConfirmWave is the confirmation of an action on the newest wave of a BaseImage.
func ConfirmWave(action offer.Name, wave rest.Wave) Confirmation {
	_, progress := waveProgress(wave)
	of := "wave " + count(wave.Number) + " of " + wave.BaseImage
	asked := Confirmation{
		Section: "Images", Title: "Stop " + of + "?", Button: "Stop the wave", Back: []string{"images", wave.Namespace, wave.BaseImage, count(wave.Number)},
		Effects: []string{"Builds that have begun go on, and no other begins.", "It can't be resumed: the next change of the image starts a new wave of all that is built on it."},
		Facts:   []Fact{{"Base image", wave.BaseImage}, {"Builds", progress}, {"State", wave.State + ", " + wave.Message}},
	}
	if wave.Message == "" {
		asked.Facts[2].Value = wave.State
	}
	if action == offer.ResumeWave {
		asked.Title, asked.Button = "Resume "+of+"?", "Resume the wave"
		asked.Effects = []string{"The builds that are still to come begin. As many may fail again as rebuild.maxFailures of the BaseImage says.", "What has failed is not built again by the wave."}
	}
	return asked
}
