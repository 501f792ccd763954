package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// GetBuildInput selects a build, and a page of what came of it.
type GetBuildInput struct {
	InNamespace
	Paging
	Watching

	Name string `path:"name" maxLength:"253" doc:"Name of the CiBuild."`
}

func (in *GetBuildInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx,
		rights.Need{Verb: "get", Resource: "cibuilds", Namespace: in.Namespace, Name: in.Name},
		rights.Need{Verb: "list", Resource: "decisions", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "runs", Namespace: in.Namespace},
		rights.Need{Verb: in.verb(), Resource: "events", Namespace: in.Namespace})
}

func (in *GetBuildInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *GetBuildInput) sees() stream.Filter {
	return func(event view.Event) bool { return event.Namespace == in.Namespace && event.Build == in.Name }
}

// buildPage is where a page of a build begins: behind a decision, a run and an event. A
// list that has ended stays at its end. The UID keeps the pages of one build together.
type buildPage struct {
	UID      string
	Decision int64
	Run      int64
	Event    view.Position
}

func getBuild(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-build", path: "/api/v1/namespaces/{namespace}/builds/{name}", summary: "Get a build and what came of it",
		description: "The build, what was decided for each pipeline below it and why, its runs with all their stages, and its history in order. " +
			"Each page has up to `limit` of each of the three lists. Of builds that had the same name one after the other it is the newest. " +
			"Needs `get` on `cibuilds`, and `list` on `decisions`, `runs` and `events` (`watch` on `events` for a stream).",
	}, answerBuild)
}

func answerBuild(ctx context.Context, b *Backend, in *GetBuildInput) (*rest.BuildDetail, error) {
	query, page := []string{"build", in.Namespace, in.Name}, buildPage{}
	if err := decodeCursor(in.Cursor, &page, query...); err != nil {
		return nil, err
	}
	build, err := b.View.BuildByName(ctx, in.Namespace, in.Name)
	if err != nil {
		return nil, err
	}
	if page.UID != "" && page.UID != build.UID {
		return nil, decodeCursor("-", nil) // another build has the name now: the cursor is of no use
	}
	page.UID = build.UID
	detail := &rest.BuildDetail{Build: build, Decisions: []rest.Decision{}, Runs: []rest.Run{}, Events: []rest.Event{}}
	more, err := b.fillBuild(ctx, in, detail, &page)
	if err != nil {
		return nil, err
	}
	if more {
		detail.Next = encodeCursor(page, query...)
	}
	return detail, nil
}

// fillBuild adds the next of each list, moves the page behind them, and tells whether any
// list may go on.
func (b *Backend) fillBuild(ctx context.Context, in *GetBuildInput, detail *rest.BuildDetail, page *buildPage) (more bool, err error) {
	decisions, err := b.View.Decisions(ctx, detail.Build, page.Decision, in.Limit)
	if err != nil {
		return false, err
	}
	for _, decision := range decisions {
		detail.Decisions = append(detail.Decisions, decision.Decision)
		page.Decision = decision.ID
	}
	detail.Runs, err = b.View.RunsOfBuild(ctx, detail.Build, page.Run, in.Limit)
	if err != nil {
		return false, err
	}
	if len(detail.Runs) > 0 {
		page.Run = detail.Runs[len(detail.Runs)-1].ID
	}
	events, err := b.View.EventsOfBuild(ctx, in.Namespace, in.Name, 0, page.Event, in.Limit)
	if err != nil {
		return false, err
	}
	for _, event := range events {
		detail.Events = append(detail.Events, event.Event)
		page.Event = event.Position
	}
	return max(len(decisions), len(detail.Runs), len(events)) == in.Limit, nil
}
