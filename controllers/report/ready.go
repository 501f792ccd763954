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
// parents and its filter first, then whether its author has suspended it, then its templates
// and their parameters, then what its author or a person wants.
func (r *Reporter) readiness(ctx context.Context, pipeline *v1alpha1.CdPipeline) (trigger.Readiness, error) {
	parents := lookup.NewFamily(ctx, r.Cache, pipeline.Namespace)
	ready := r.Decider.Ready(pipeline, parents)
	if parents.Err != nil {
		return trigger.Readiness{}, fmt.Errorf("find parents: %w", parents.Err)
	}
	// Templates of another cluster are looked for when they are needed, and never from here: a
	// cluster that hangs would keep the status of all others waiting.
	if !ready.Ready || pipeline.Spec.Suspend || trigger.ClusterOf(pipeline) != "" {
		return trigger.Steered(pipeline, ready), nil
	}
	unready, err := unreadyStage(ctx, r.Cache, pipeline)
	if err != nil || unready != (trigger.Readiness{}) {
		return unready, err
	}
	return trigger.Steered(pipeline, ready), nil
}

// unreadyStage is about the first stage that can't run whatever a build gives; empty where
// all can.
func unreadyStage(ctx context.Context, cache client.Reader, pipeline *v1alpha1.CdPipeline) (trigger.Readiness, error) {
	for _, stage := range trigger.Stages(pipeline, "") {
		reason, message, err := argo.Unready(ctx, cache, pipeline, stage)
		if err != nil {
			return trigger.Readiness{}, fmt.Errorf("find template: %w", err)
		}
		if reason != "" {
			return trigger.Readiness{Reason: reason, Message: fmt.Sprintf("stage %s: %s", stage, message)}, nil
		}
	}
	return trigger.Readiness{}, nil
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
