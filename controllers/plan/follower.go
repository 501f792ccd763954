package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// followBatch is the most ended stages that one transaction follows.
	followBatch = 100
	// followRetry is the pause after an error.
	followRetry = time.Second
	// followPoll is how often ended stages are looked for that nobody told of, since
	// the reply to the commit that ended them was lost.
	followPoll = 5 * time.Second
	// listInterval is the least time between two batches that ask the API server.
	listInterval = 500 * time.Millisecond
	// asideFor is how long a stage is left alone that can't be followed.
	asideFor = 30 * time.Second
)

// Follower commits what follows an ended stage: the next stage, or the end of the
// run and the decisions on the pipelines below.
type Follower struct {
	Config
	Log  logr.Logger
	wake chan struct{}
	line followLine
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
	for {
		wait := followPoll
		if err := f.runOnce(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error(err, "ended stages not followed, will retry")
			wait = followRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-f.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// runOnce follows every ended stage that there is.
func (f *Follower) runOnce(ctx context.Context) error {
	for ctx.Err() == nil {
		ended, err := f.Rows.Unfollowed(ctx, f.line.size(), f.line.aside(time.Now()))
		if err != nil || len(ended) == 0 {
			return err
		}
		children := newChained(&f.Config)
		err = f.follow(ctx, ended, children)
		f.line.followed(ended, err, time.Now())
		if err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
		if children.asked() {
			pause.For(ctx, listInterval)
		}
	}
	return nil
}

func (f *Follower) follow(ctx context.Context, ended []store.Ended, children *chained) error {
	consequences := make([]store.Consequence, len(ended))
	for i, stage := range ended {
		consequence, err := f.consequence(ctx, stage, children)
		if err != nil {
			return fmt.Errorf("decide what follows stage %s of %s: %w", stage.Stage, stage.Pipeline, err)
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
func (f *Follower) consequence(ctx context.Context, ended store.Ended, children *chained) (store.Consequence, error) {
	consequence := store.Consequence{Ended: ended, Outcome: ended.Status}
	how := string(ended.Status)
	if ended.Status == store.StatusSucceeded {
		pipeline, step, err := f.step(ctx, ended)
		if err != nil {
			return store.Consequence{}, err
		}
		if !step.Done {
			consequence.Next, consequence.Hold, consequence.Outcome = step.Next, step.Hold, ""
			return consequence, nil
		}
		if pipeline == nil {
			consequence.Outcome, how = store.StatusCancelled, "deleted"
		}
	}
	family, err := children.of(ctx, ended.Namespace, ended.Pipeline)
	if err != nil {
		return store.Consequence{}, err
	}
	if consequence.Outcome == store.StatusSucceeded {
		consequence.Decisions = f.Decider.Succeeded(ended.Build, ended.Artifact, ended.Pipeline, family)
	} else {
		consequence.Decisions = f.Decider.Ended(ended.Artifact, ended.Pipeline, how, family)
	}
	return consequence, family.Err
}

// step returns the pipeline that the run is of, or nil where it is gone, and what
// follows the success of the stage. That it waits for a person is asked of the API
// server: the cache may be behind, and nobody would come.
func (f *Follower) step(ctx context.Context, ended store.Ended) (*v1alpha1.CdPipeline, trigger.Step, error) {
	pipeline, err := f.pipeline(ctx, ended)
	if step := after(pipeline, ended.Stage); err != nil || step.Hold == "" {
		return pipeline, step, err
	}
	pipeline, err = f.livePipeline(ctx, ended)
	return pipeline, after(pipeline, ended.Stage), err
}

// after is what follows the success of a stage; nothing where the pipeline is gone.
func after(pipeline *v1alpha1.CdPipeline, stage trigger.Stage) trigger.Step {
	if pipeline == nil {
		return trigger.Step{Done: true}
	}
	return trigger.AfterSuccess(pipeline, stage)
}

// pipeline returns the pipeline that the run is of, or nil where it is gone; one of
// the same name that was created later is another.
func (f *Follower) pipeline(ctx context.Context, ended store.Ended) (*v1alpha1.CdPipeline, error) {
	pipeline := &v1alpha1.CdPipeline{}
	err := f.Cache.Get(ctx, types.NamespacedName{Namespace: ended.Namespace, Name: ended.Pipeline}, pipeline)
	if err == nil && string(pipeline.UID) == ended.PipelineUID {
		return pipeline, nil
	}
	return f.livePipeline(ctx, ended)
}

// livePipeline is pipeline as the API server has it now.
func (f *Follower) livePipeline(ctx context.Context, ended store.Ended) (*v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipeline := &v1alpha1.CdPipeline{}
	err := f.Live.Get(ctx, types.NamespacedName{Namespace: ended.Namespace, Name: ended.Pipeline}, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != ended.PipelineUID) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
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
