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

// ExplainPipelineInput selects a CdPipeline.
type ExplainPipelineInput struct {
	InNamespace

	Name string `path:"name" maxLength:"253" doc:"Name of the CdPipeline."`

	gate gate
}

func (in *ExplainPipelineInput) allow(ctx context.Context, gate gate) error {
	in.gate = gate
	return gate.require(ctx,
		rights.Need{Verb: "get", Resource: "cdpipelines", Namespace: in.Namespace, Name: in.Name},
		rights.Need{Verb: "list", Resource: "decisions", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "runs", Namespace: in.Namespace})
}

func explainPipeline(api huma.API, b *Backend) {
	get(api, b, names{
		id: "explain-pipeline", path: "/api/v1/namespaces/{namespace}/pipelines/{name}/explanation", summary: "Explain a CdPipeline",
		description: "How the pipeline stands, and for the last build that came to it: what was decided, by which rule and when; what it waits for now; what came of it; " +
			"and the commands that change it. Needs `get` on `cdpipelines`, and `list` on `decisions` and `runs`.",
	}, func(ctx context.Context, b *Backend, in *ExplainPipelineInput) (*rest.PipelineExplanations, error) {
		standing, pipelines, err := b.View.ExplainPipeline(ctx, in.Namespace, in.Name)
		if errors.Is(err, view.ErrNotFound) {
			return nil, problem.New(http.StatusNotFound, explain.UnknownPipeline(in.Namespace, in.Name))
		}
		if err != nil {
			return nil, err
		}
		if err := in.gate.hideHoldersOf(ctx, in.Namespace, pipelines); err != nil {
			return nil, err
		}
		return &rest.PipelineExplanations{
			Namespace: in.Namespace, Pipeline: in.Name, Summary: standing.String(), Commands: standing.Commands(), Pipelines: explainAll(pipelines),
		}, nil
	})
}
