package dashboard

import (
	"fmt"
	"net/url"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// waveActions are about the newest wave of a BaseImage.
var waveActions = []action{
	{offer.ResumeWave, confirmWave(offer.ResumeWave), ofWave(asks(offer.ResumeWave, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return ofTarget("Resume", "BaseImage", about.BaseImage)
	}))},
	{offer.StopWave, confirmWave(offer.StopWave), ofWave(asks(offer.StopWave, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return ofTarget("Cancel", "BaseImage", about.BaseImage)
	}))},
}

// ofWave asks only while the wave is the newest that the person has seen: a RunRequest names the
// BaseImage alone.
func ofWave(do func(*visit, offer.Subject, answers) (string, error)) func(*visit, offer.Subject, answers) (string, error) {
	return func(v *visit, about offer.Subject, form answers) (string, error) {
		wave, err := newestWave(v, about)
		switch {
		case err != nil:
			return "", err
		case wave.Number != about.ID:
			return "", notNow(fmt.Sprintf("Wave %d of %s has begun meanwhile. Nothing was done.", wave.Number, wave.BaseImage))
		}
		return do(v, about, form)
	}
}

func newestWave(v *visit, about offer.Subject) (rest.Wave, error) {
	detail, err := ask[rest.WaveDetail](v, url.Values{"limit": {"1"}}, "namespaces", about.Namespace, "baseimages", about.BaseImage, "waves", "0")
	return detail.Wave, err
}

func confirmWave(action offer.Name) func(*visit, offer.Subject) (ui.Confirmation, error) {
	return func(v *visit, about offer.Subject) (ui.Confirmation, error) {
		wave, err := newestWave(v, about)
		if err != nil {
			return ui.Confirmation{}, err
		}
		if wave.Number != about.ID || len(offer.Wave(wave).Of(action)) == 0 {
			return ui.Confirmation{}, notNow(fmt.Sprintf("The newest wave of %s is wave %d, and is %s. Somebody else may have been faster.", wave.BaseImage, wave.Number, wave.State))
		}
		return ui.ConfirmWave(action, wave), nil
	}
}
