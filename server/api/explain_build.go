package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/rights"
)

// ExplainBuildInput selects a build, and a page of the pipelines below it.
type ExplainBuildInput struct {
	InNamespace
	Paging

	Name string `path:"name" maxLength:"253" doc:"Name of the CiBuild."`

	gate gate
}

func (in *ExplainBuildInput) allow(ctx context.Context, gate gate) error {
	in.gate = gate
	return gate.require(ctx,
		rights.Need{Verb: "get", Resource: "cibuilds", Namespace: in.Namespace, Name: in.Name},
		rights.Need{Verb: "list", Resource: "decisions", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "runs", Namespace: in.Namespace})
}

func explainBuild(api huma.API, b *Backend) {
	get(api, b, names{
		id: "explain-build", path: "/api/v1/namespaces/{namespace}/builds/{name}/explanation", summary: "Explain a build",
		description: "What was decided for each pipeline below the build, by which rule and when; what it waits for now; what came of it; and the commands that change it. " +
			"Of builds that had the same name one after the other it is the newest. Needs `get` on `cibuilds`, and `list` on `decisions` and `runs`.",
	}, answerExplainBuild)
}

func answerExplainBuild(ctx context.Context, b *Backend, in *ExplainBuildInput) (*rest.BuildExplanation, error) {
	query, page := []string{"explain-build", in.Namespace, in.Name}, buildPage{}
	if err := decodeCursor(in.Cursor, &page, query...); err != nil {
		return nil, err
	}
	build, pipelines, last, err := b.View.ExplainBuild(ctx, in.Namespace, in.Name, page.Decision, in.Limit)
	if errors.Is(err, view.ErrNotFound) {
		return nil, problem.New(http.StatusNotFound, explain.UnknownBuild(in.Namespace, in.Name))
	}
	if err != nil {
		return nil, err
	}
	if page.UID != "" && page.UID != build.Build.UID {
		return nil, decodeCursor("-", nil) // another build has the name now: the cursor is of no use
	}
	if err := in.gate.hideHoldersOf(ctx, in.Namespace, append(pipelines, explain.Facts{Controller: build.Controller})); err != nil {
		return nil, err
	}
	summary, commands := explain.Build(build)
	explained := &rest.BuildExplanation{
		Namespace: in.Namespace, Build: in.Name, Summary: summary, Commands: append([]string{}, commands...), Pipelines: explainAll(pipelines),
	}
	if len(pipelines) == in.Limit {
		explained.Next = encodeCursor(buildPage{UID: build.Build.UID, Decision: last.ID}, query...)
	}
	return explained, nil
}

func explainAll(pipelines []explain.Facts) []rest.PipelineExplanation {
	all := make([]rest.PipelineExplanation, len(pipelines))
	for i, facts := range pipelines {
		all[i] = explain.Pipeline(facts)
	}
	return all
}
