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

// ExplainRunInput selects a run.
type ExplainRunInput struct {
	InNamespace

	ID int64 `path:"id" minimum:"1" doc:"Number of the run."`

	gate gate
}

func (in *ExplainRunInput) allow(ctx context.Context, gate gate) error {
	in.gate = gate
	return gate.require(ctx,
		rights.Need{Verb: "get", Resource: "runs", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "decisions", Namespace: in.Namespace})
}

func explainRun(api huma.API, b *Backend) {
	get(api, b, names{
		id: "explain-run", path: "/api/v1/namespaces/{namespace}/runs/{id}/explanation", summary: "Explain a run",
		description: "Why there is the run, by which rule and since when; what it waits for now; what came of it, stage by stage; and the commands that change it. " +
			"Needs `get` on `runs` and `list` on `decisions`.",
	}, func(ctx context.Context, b *Backend, in *ExplainRunInput) (*rest.PipelineExplanation, error) {
		facts, last, err := b.View.ExplainRun(ctx, in.Namespace, in.ID)
		if errors.Is(err, view.ErrNotFound) {
			return nil, problem.New(http.StatusNotFound, explain.UnknownRun(in.Namespace, in.ID, last))
		}
		if err != nil {
			return nil, err
		}
		if err := in.gate.hideHolders(ctx, in.Namespace, facts.Controller); err != nil {
			return nil, err
		}
		explained := explain.Pipeline(facts)
		return &explained, nil
	})
}
