package offer

import (
	"slices"

	"github.com/penstock-cd/penstock/api/rest"
)

// Pipeline offers what can be asked of a CdPipeline at any time.
func Pipeline(namespace, name string) Offers {
	about := Subject{Namespace: namespace, Pipeline: name}
	return Offers{{Trigger, "Trigger a build", about}, {Rollback, "Roll back", about}}
}

// Holding offers to hold a CdPipeline, or to release one that is held.
func Holding(namespace, name string, held bool) Offers {
	about := Subject{Namespace: namespace, Pipeline: name}
	if held {
		return Offers{{Release, "Release", about}}
	}
	return Offers{{Hold, "Hold", about}}
}

// Waiting offers to let stages start that wait for a person, or for the time.
func Waiting(namespace string, pipelines []rest.CdPipelineStatus) (offers Offers) {
	for _, pipeline := range pipelines {
		for _, run := range pipeline.Waiting {
			about := Subject{Namespace: namespace, Pipeline: pipeline.Name, Run: run.ID}
			offers = append(offers, resumable(about, []rest.Stage{{Stage: run.Stage, State: run.State, Reason: run.Reason}})...)
		}
	}
	return offers
}

// Decided offers to trigger pipelines for a build, in spite of what was decided for it, once each.
func Decided(namespace string, build rest.Build, decisions []rest.Decision) (offers Offers) {
	if build.Phase != "Succeeded" {
		return nil
	}
	for _, decision := range decisions {
		one := Offer{Trigger, "Trigger", Subject{Namespace: namespace, Pipeline: decision.Pipeline, Build: build.Name}}
		if (decision.Outcome == "Skipped" || decision.Outcome == "Blocked") && !slices.Contains(offers, one) {
			offers = append(offers, one)
		}
	}
	return offers
}
