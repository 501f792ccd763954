package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// BuildsFilter is what a list of builds is narrowed down to.
type BuildsFilter struct{ Namespace, Application, Pipeline, Phase, Cursor string }

// RunsView is what the page of a CdPipeline shows.
type RunsView struct {
	Namespace, Name string
	List            rest.RunList
	// First is true for the first page of the list.
	First bool
	// Offers are what the user may ask for, and Hold whether the pipeline is held; nil is not known.
	Offers offer.Offers
	Hold   *rest.Hold
}

// phases are those of a build.
var phases = []string{"", "Pending", "Running", "Succeeded", "Failed", "Error", "Cancelled"}

func (f Frame) builds(filter BuildsFilter, phase, cursor string) string {
	return f.With(f.Path("builds", filter.Namespace), "application", filter.Application, "pipeline", filter.Pipeline, "phase", phase, "cursor", cursor)
}

func nextBuilds(f Frame, filter BuildsFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.builds(filter, filter.Phase, next)
}

// runsOf says how the runs of a build are.
func runsOf(counts rest.RunCounts) string {
	if counts.Total == 0 {
		return "no runs"
	}
	text := ""
	for _, part := range []struct {
		n    int64
		word string
	}{
		{counts.Failed, "failed"}, {counts.Cancelled, "cancelled"}, {counts.Superseded, "superseded"}, {counts.Active, "active"}, {counts.Succeeded, "succeeded"},
	} {
		if part.n > 0 {
			text += ", " + count(part.n) + " " + part.word
		}
	}
	return text[2:] + " of " + many(counts.Total, "run")
}
