package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/loop"
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
	// decideTimeout bounds how long one batch lists children at the API server, and then how long
	// it reads pipelines there. Stages whose reads have not ended by then stay for a later batch.
	decideTimeout = 20 * time.Second
)

// Follower commits what follows an ended stage: the next stage, or the end of the
// run and the decisions on the pipelines below.
type Follower struct {
	*loop.Loop
	Config
	Log  logr.Logger
	wake loop.Signal
	line followLine
}

// NewFollower returns a follower that does nothing until it is started. What a crash left
// open is found at once then.
func NewFollower(config Config, log logr.Logger) *Follower {
	f := &Follower{Config: config.withDefaults(), Log: log}
	f.Loop = loop.New(loop.Config{
		Name: "follow", Run: f.runOnce, Signal: &f.wake, Interval: followPoll, Retry: followRetry, Log: log,
	})
	return f
}

// Wake says that stages may have ended. It never blocks.
func (f *Follower) Wake() { f.wake.Notify() }

// runOnce follows every ended stage that there is. Those of which it can't be decided what
// follows, since the API server gives no answer, keep no other: they are left until the
// next run.
func (f *Follower) runOnce(ctx context.Context) (time.Duration, error) {
	var undecided error
	for ctx.Err() == nil {
		ended, err := f.Rows.Unfollowed(ctx, f.line.size(), f.line.aside(time.Now()))
		if err != nil || len(ended) == 0 {
			return 0, errors.Join(undecided, err)
		}
		children := newChained(&f.Config)
		batch, err := f.follow(ctx, ended, children)
		undecided = cmp.Or(undecided, batch.err)
		f.line.leave(batch.undecided, time.Now())
		if len(batch.decided) > 0 {
			f.line.followed(batch.decided, err, time.Now())
		}
		if err != nil && !errors.Is(err, store.ErrStale) {
			return 0, err
		}
		if len(batch.decided) == 0 {
			return 0, undecided
		}
		if children.asked() {
			pause.For(ctx, listInterval)
		}
	}
	return 0, nil
}

// decisions are what was found out about a batch of ended stages.
type decisions struct {
	decided      []store.Ended
	consequences []store.Consequence // of those
	undecided    []store.Ended
	err          error // why the first of those is undecided
}

func (f *Follower) follow(ctx context.Context, ended []store.Ended, children *chained) (decisions, error) {
	children.prepare(ctx, ended)
	release, err := f.Bounds.take(ctx, f.Bounds.chunk)
	if err != nil {
		return decisions{}, err
	}
	defer release()
	batch := f.decide(ctx, ended, children)
	return batch, f.commit(ctx, batch.consequences)
}

// decide finds out what follows the first of the stages: of as many as have no more decisions
// together than one chunk of a plan, but of at least one.
func (f *Follower) decide(ctx context.Context, ended []store.Ended, children *chained) (batch decisions) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	for i, pairs := 0, 0; i < len(ended) && pairs < f.Bounds.chunk; i++ {
		consequence, err := f.consequence(ctx, ended[i], children)
		if err != nil {
			batch.undecided = append(batch.undecided, ended[i])
			batch.err = cmp.Or(batch.err, fmt.Errorf("decide what follows stage %s of %s: %w", ended[i].Stage, ended[i].Pipeline, err))
			continue
		}
		batch.decided, batch.consequences = append(batch.decided, ended[i]), append(batch.consequences, consequence)
		pairs += len(consequence.Decisions)
	}
	return batch
}

func (f *Follower) commit(ctx context.Context, consequences []store.Consequence) error {
	if len(consequences) == 0 {
		return nil
	}
	if err := f.Rows.Follow(ctx, consequences); err != nil {
		return err
	}
	failpoint.Hit(failpoint.FollowAfterCommit)
	f.Planned()
	observeAll(consequences)
	return nil
}

// consequence decides what follows one ended stage, by the pipeline as it is now.
func (f *Follower) consequence(ctx context.Context, ended store.Ended, children *chained) (store.Consequence, error) {
	pipeline, err := f.current(ctx, ended)
	if err != nil {
		return store.Consequence{}, err
	}
	consequence := store.Consequence{Ended: ended}
	if pipeline != nil {
		consequence.Policy = pipeline.Spec.ConcurrencyPolicy
	}
	switch {
	case goesOn(pipeline, ended):
		consequence.Next, consequence.Hold = next(pipeline, ended), holdOfNext(pipeline, ended)
		return consequence, nil
	case retries(pipeline, ended):
		consequence.RetryAfter, consequence.Retries = trigger.RetryAfter(pipeline, ended.Stage, ended.Attempt)
		return consequence, nil
	case ended.UnderWay:
		return consequence, nil // the run ends with the stage that ends last
	}
	consequence.Outcome = outcome(pipeline, ended)
	if !ended.Descends {
		return consequence, nil
	}
	family, err := children.of(ctx, ended.Namespace, ended.Pipeline)
	if err != nil {
		return store.Consequence{}, err
	}
	switch {
	case consequence.Outcome != store.StatusSucceeded:
		consequence.Decisions = f.Decider.Ended(ended.Artifacts, ended.Pipeline, how(pipeline, consequence.Outcome), family)
	case ended.Overtaken:
		consequence.Decisions = f.Decider.Late(ended.Artifacts, ended.Pipeline, family)
	default:
		consequence.Decisions = f.Decider.Succeeded(ended.Build, ended.Artifacts, ended.Pipeline, family)
	}
	return consequence, family.Err
}

// goesOn tells whether another stage comes. Where one was reopened, that waits for those
// which are under way, and none comes after one that did not succeed.
func goesOn(pipeline *v1alpha1.CdPipeline, ended store.Ended) bool {
	all := ended.Status == store.StatusSucceeded && ended.Worst == "" && !ended.UnderWay
	return pipeline != nil && all && !ended.Overtaken && !ended.Stopped && next(pipeline, ended) != ""
}

// next is the first stage that has not begun; empty where there is none. A run from before
// all its stages were rows has those that the pipeline has now.
func next(pipeline *v1alpha1.CdPipeline, ended store.Ended) trigger.Stage {
	if len(ended.Later) > 0 {
		return ended.Later[0]
	}
	if ended.Whole || ended.Ahead {
		return ""
	}
	return trigger.NextStage(pipeline, ended.Stage)
}

// holdOfNext is what holds the next stage.
func holdOfNext(pipeline *v1alpha1.CdPipeline, ended store.Ended) trigger.Hold {
	return trigger.HoldOf(pipeline, next(pipeline, ended), false)
}

// retries tells whether the stage is tried again: its Workflow has failed, and nobody
// wants it to end. One whose end is not known may have succeeded.
func retries(pipeline *v1alpha1.CdPipeline, ended store.Ended) bool {
	failed := ended.Status == store.StatusFailed || (ended.Status == store.StatusError && ended.HadWorkflow && ended.Reason != v1alpha1.ReasonEndUnknown)
	if pipeline == nil || !failed || ended.Stopped || ended.Overtaken {
		return false
	}
	_, more := trigger.RetryAfter(pipeline, ended.Stage, ended.Attempt)
	return more
}

// outcome is how the run ended, of which no stage is left: one whose pipeline is gone, or
// that is to be stopped, did not succeed while there were stages to come, nor one that a
// newer build has overtaken, nor one of which another stage did not.
func outcome(pipeline *v1alpha1.CdPipeline, ended store.Ended) store.Status {
	switch {
	case ended.Status != store.StatusSucceeded:
		return ended.Status
	case ended.Worst != "":
		return ended.Worst
	case ended.Overtaken && next(pipeline, ended) != "":
		return store.StatusSuperseded
	case pipeline == nil, next(pipeline, ended) != "":
		return store.StatusCancelled
	default:
		return store.StatusSucceeded
	}
}

func how(pipeline *v1alpha1.CdPipeline, outcome store.Status) string {
	if pipeline == nil && outcome == store.StatusCancelled {
		return "deleted"
	}
	return string(outcome)
}

// current returns the pipeline that the run is of, or nil where it is gone. That the next
// stage is held is asked of the API server: the cache may be behind, and nobody would
// release it.
func (f *Follower) current(ctx context.Context, ended store.Ended) (*v1alpha1.CdPipeline, error) {
	pipeline, err := f.pipeline(ctx, ended)
	if err != nil || !goesOn(pipeline, ended) || holdOfNext(pipeline, ended) == (trigger.Hold{}) {
		return pipeline, err
	}
	return f.livePipeline(ctx, ended)
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

func observeAll(consequences []store.Consequence) {
	for _, consequence := range consequences {
		observe(consequence.Decisions)
	}
}
