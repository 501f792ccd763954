package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// BuildState is the phase of a build in a sentence.
func BuildState(build rest.Build) string {
	if build.Phase == "" {
		return "not begun"
	}
	return build.Phase
}

// ConfirmBuild is the confirmation of an action on a build.
func ConfirmBuild(action offer.Name, about offer.Subject, build rest.Build) Confirmation {
	asked := Confirmation{
		Section: "Applications", Title: "Cancel build " + build.Name + "?", Button: "Cancel the build", Back: []string{"builds", about.Namespace, build.Name},
		Effects: []string{"What waits ends at once, and the Workflow of what runs is stopped.", "No pipeline is triggered by the build."},
		Facts:   []Fact{{"Build", build.Name}, {"CI pipeline", build.Pipeline}, {"Revision", build.Revision}, {"Phase", BuildState(build)}},
	}
	if action == offer.RetryBuild {
		asked.Title, asked.Button = "Build "+build.Name+" again?", "Build again"
		asked.Effects = []string{"The same revision is built again, as a build of its own.", "When that has succeeded, its pipelines are triggered."}
	}
	return asked
}
