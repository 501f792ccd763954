package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// BuildChoice is a build that somebody can choose.
type BuildChoice struct{ Name, Label string }

// ConfirmTrigger is the confirmation that a pipeline runs for one of these builds. runs are
// those of the pipeline, the newest first.
func ConfirmTrigger(about offer.Subject, runs []rest.Run, builds []rest.Build) Confirmation {
	asked := Confirmation{
		Section: "Applications", Title: "Trigger " + about.Pipeline + "?", Button: "Trigger", Back: []string{"pipelines", about.Namespace, about.Pipeline},
		Effects:   []string{"The pipeline runs for the build, whatever was decided for it, and the pipelines below follow."},
		Facts:     newestOf(about, runs),
		OlderHelp: "Deploy the build although a newer one had its turn",
	}
	if about.Build != "" {
		asked.Title, asked.Back = "Trigger "+about.Pipeline+" for build "+about.Build+"?", []string{"builds", about.Namespace, about.Build}
		return asked
	}
	for _, build := range builds {
		label := build.Name
		if build.Revision != "" {
			label += ", " + shorten(build.Revision, 40)
		}
		if build.CreatedAt != nil {
			label += ", " + build.CreatedAt.UTC().Format("2006-01-02 15:04 UTC")
		}
		asked.Builds = append(asked.Builds, BuildChoice{build.Name, label})
	}
	return asked
}

// ConfirmRollback is the confirmation that a pipeline deploys what it deployed before.
func ConfirmRollback(about offer.Subject, runs []rest.Run) Confirmation {
	return Confirmation{
		Section: "Applications", Title: "Roll back " + about.Pipeline + "?", Button: "Roll back", Back: []string{"pipelines", about.Namespace, about.Pipeline},
		Effects: []string{
			"The build is deployed again that the pipeline deployed, and of which a run succeeded, before the one that is deployed now.",
			"The pipelines below stay as they are.",
		},
		Facts: newestOf(about, runs),
	}
}

// newestOf are the facts about a pipeline and its newest run.
func newestOf(about offer.Subject, runs []rest.Run) []Fact {
	facts := []Fact{{"Pipeline", about.Pipeline}}
	if len(runs) > 0 {
		facts = append(facts, Fact{"Newest run", count(runs[0].ID) + " of build " + runs[0].Build + ": " + RunState(runs[0])})
	}
	for _, run := range runs {
		if run.Outcome == "Succeeded" {
			return append(facts, Fact{"Succeeded last", "build " + run.Build})
		}
	}
	return facts
}
