package offer

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Runs offers what fits the state of each run. Where a list has several runs of one artifact in
// one pipeline, only the newest can be retried.
func Runs(namespace string, runs []rest.Run) (offers Offers) {
	newest := map[artifact]int32{}
	for _, run := range runs {
		newest[artifactOf(run)] = max(newest[artifactOf(run)], run.Number)
	}
	for _, run := range runs {
		about := Subject{Namespace: namespace, Pipeline: run.Pipeline, Run: run.ID}
		switch {
		case run.Outcome == "":
			offers = append(offers, resumable(about, run.Stages)...)
			offers = append(offers, Offer{Cancel, "Cancel", about})
		case run.Outcome != "Succeeded" && run.Number == newest[artifactOf(run)]:
			offers = append(offers, Offer{Retry, "Retry", about})
		}
	}
	return offers
}

// artifact is an artifact of a build in a pipeline, of which there can be several runs.
type artifact struct{ pipeline, build, image, digest string }

func artifactOf(run rest.Run) artifact {
	return artifact{run.Pipeline, run.Build, run.Image, run.Digest}
}

// resumable offers to let stages start that wait for a person, or for the time.
func resumable(about Subject, stages []rest.Stage) (offers Offers) {
	for _, stage := range stages {
		about.Stage = stage.Stage
		switch {
		case stage.State != "Held":
		case stage.Reason == string(v1alpha1.ReasonPerson):
			offers = append(offers, Offer{Resume, "Approve " + stage.Stage, about})
		case WaitsForTime(stage):
			offers = append(offers, Offer{Resume, "Start " + stage.Stage + " now", about})
		}
	}
	return offers
}

// Queue offers to let tasks of the queue start that wait for a person, or for the time.
func Queue(tasks []rest.Task) (offers Offers) {
	for _, task := range tasks {
		if task.Run == 0 {
			continue // a build
		}
		about := Subject{Namespace: task.Namespace, Pipeline: task.Pipeline, Run: task.Run}
		offers = append(offers, resumable(about, []rest.Stage{{Stage: task.Stage, State: task.State, Reason: task.Reason}})...)
	}
	return offers
}

// WaitsForTime tells whether a stage waits for a window, or for the end of a freeze: it starts
// in spite of that only where somebody says why.
func WaitsForTime(stage rest.Stage) bool { return trigger.WaitsForTime(v1alpha1.Reason(stage.Reason)) }
