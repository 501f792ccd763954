package plan

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// followBatch is how many ended stages one transaction follows.
	followBatch = 100
	// followRetry is the pause after an error.
	followRetry = time.Second
)

// Follower commits what follows an ended stage: the next stage, or the end of the
// run and the decisions on the pipelines below.
type Follower struct {
	Config
	Log  logr.Logger
	wake chan struct{}
}

// NewFollower returns a follower that does nothing until it is started.
func NewFollower(config Config, log logr.Logger) *Follower {
	return &Follower{Config: config, Log: log, wake: make(chan struct{}, 1)}
}

// Wake says that stages may have ended. It never blocks.
func (f *Follower) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// NeedLeaderElection keeps two replicas from doing the same work.
func (f *Follower) NeedLeaderElection() bool { return true }

// Start follows until the context ends. What a crash left open is found at once.
func (f *Follower) Start(ctx context.Context) error {
	f.Wake()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
		if err := f.runOnce(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error(err, "ended stages not followed, will retry")
			time.AfterFunc(followRetry, f.Wake)
		}
	}
}

// runOnce follows every ended stage that there is.
func (f *Follower) runOnce(ctx context.Context) error {
	for ctx.Err() == nil {
		ended, err := f.Rows.Unfollowed(ctx, followBatch)
		if err != nil || len(ended) == 0 {
			return err
		}
		if err := f.follow(ctx, ended); err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	return nil
}

func (f *Follower) follow(ctx context.Context, ended []store.Ended) error {
	consequences := make([]store.Consequence, len(ended))
	for i, stage := range ended {
		consequence, err := f.consequence(ctx, stage)
		if err != nil {
			return err
		}
		consequences[i] = consequence
	}
	if err := f.Rows.Follow(ctx, consequences); err != nil {
		return err
	}
	failpoint.Hit(failpoint.FollowAfterCommit)
	f.Planned()
	f.report(consequences)
	return nil
}

// consequence decides what follows one ended stage, by the pipeline as it is now.
func (f *Follower) consequence(ctx context.Context, ended store.Ended) (store.Consequence, error) {
	family := lookup.NewFamily(ctx, f.Cache, ended.Namespace)
	consequence := store.Consequence{Ended: ended, Outcome: ended.Status}
	if ended.Status != store.StatusSucceeded {
		consequence.Decisions = f.Decider.Ended(ended.Artifact, ended.Pipeline, string(ended.Status), family)
		return consequence, family.Err
	}
	pipeline, err := f.pipeline(ctx, ended)
	if err != nil {
		return store.Consequence{}, err
	}
	if pipeline == nil {
		consequence.Outcome = store.StatusCancelled
		consequence.Decisions = f.Decider.Ended(ended.Artifact, ended.Pipeline, "deleted", family)
		return consequence, family.Err
	}
	switch step := trigger.AfterSuccess(pipeline, ended.Stage); {
	case step.Done:
		consequence.Decisions = f.Decider.Succeeded(ended.Build, ended.Artifact, ended.Pipeline, family)
	default:
		consequence.Next, consequence.Hold, consequence.Outcome = step.Next, step.Hold, ""
	}
	return consequence, family.Err
}

// pipeline returns the pipeline that the run is of, or nil where it is gone; one of
// the same name that was created later is another.
func (f *Follower) pipeline(ctx context.Context, ended store.Ended) (*v1alpha1.CdPipeline, error) {
	key := types.NamespacedName{Namespace: ended.Namespace, Name: ended.Pipeline}
	pipeline := &v1alpha1.CdPipeline{}
	err := f.Cache.Get(ctx, key, pipeline)
	if err == nil && string(pipeline.UID) == ended.PipelineUID {
		return pipeline, nil
	}
	pipeline = &v1alpha1.CdPipeline{}
	err = f.Live.Get(ctx, key, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != ended.PipelineUID) {
		return nil, nil
	}
	return pipeline, err
}

func (f *Follower) report(consequences []store.Consequence) {
	for _, consequence := range consequences {
		ended := consequence.Ended
		f.Report.Builds(types.NamespacedName{Namespace: ended.Namespace, Name: ended.Build.Name})
		f.Report.Pipelines(types.NamespacedName{Namespace: ended.Namespace, Name: ended.Pipeline})
		for _, decision := range consequence.Decisions {
			f.Report.Pipelines(types.NamespacedName{Namespace: ended.Namespace, Name: decision.Pipeline.Name})
		}
		observe(consequence.Decisions)
	}
}
