package report

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// readiness is whether the pipeline can be triggered as it is now, by what the cache has: its
// parents and its filter first, then what its author or a person wants, then its templates.
func (r *Reporter) readiness(ctx context.Context, pipeline *v1alpha1.CdPipeline) (trigger.Readiness, error) {
	parents := lookup.NewFamily(ctx, r.Cache, pipeline.Namespace)
	ready := r.Decider.Ready(pipeline, parents)
	if parents.Err != nil {
		return trigger.Readiness{}, fmt.Errorf("find parents: %w", parents.Err)
	}
	if !ready.Ready || pipeline.Spec.Suspend {
		return trigger.Steered(pipeline, ready), nil
	}
	missing, err := missingTemplate(ctx, r.Cache, pipeline)
	if err != nil || missing != "" {
		return trigger.Readiness{Reason: v1alpha1.ReasonTemplateNotFound, Message: missing}, err
	}
	return trigger.Steered(pipeline, ready), nil
}

// missingTemplate names the first stage whose template does not exist; empty where all do.
func missingTemplate(ctx context.Context, cache client.Reader, pipeline *v1alpha1.CdPipeline) (string, error) {
	for _, stage := range trigger.Stages(pipeline, "") {
		ref := trigger.StageSpec(pipeline, stage).Workflow.TemplateRef
		hold, err := argo.TemplateHold(ctx, cache, pipeline.Namespace, ref)
		if err != nil {
			return "", fmt.Errorf("find template: %w", err)
		}
		if hold != (trigger.Hold{}) {
			return fmt.Sprintf("stage %s: %s", stage, hold.Message), nil
		}
	}
	return "", nil
}

// templateChanged looks again at the pipelines that run a template of the kind.
func (r *Reporter) templateChanged(kind string) mark {
	return func(ctx context.Context, key client.ObjectKey) {
		users, err := lookup.Users(ctx, r.Cache, kind, key)
		if err != nil {
			r.Log.Error(err, "pipelines of a template not found in cache, the next change reports them")
			return
		}
		r.Pipelines(users...)
	}
}
