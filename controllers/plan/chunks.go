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
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// openMost is how many plans are looked at in one round.
	openMost = 100
	// chunkPoll is how often plans are looked for that a crash, or another replica, left open.
	chunkPoll = 5 * time.Second
)

// Chunks goes on with plans that are committed in chunks, one chunk of each in turn. All that
// it needs is in the tables: the build may be deleted meanwhile.
type Chunks struct {
	*loop.Loop
	Config
	Log  logr.Logger
	wake loop.Signal
}

// NewChunks returns a loop that does nothing until it is started. What a crash left open is
// found at once then.
func NewChunks(config Config, log logr.Logger) *Chunks {
	c := &Chunks{Config: config.withDefaults(), Log: log}
	c.Loop = loop.New(loop.Config{Name: "plan", Run: c.runOnce, Signal: &c.wake, Interval: chunkPoll, Retry: retryMost, Log: log})
	return c
}

// Wake says that a plan has begun. It never blocks.
func (c *Chunks) Wake() { c.wake.Notify() }

// runOnce commits chunks until none is left. A plan that fails, or panics, keeps no other; it
// is tried again in the next round.
func (c *Chunks) runOnce(ctx context.Context) (time.Duration, error) {
	var failed []string
	var all []error
	for ctx.Err() == nil {
		plans, err := c.Rows.OpenPlans(ctx, openMost, failed)
		if err != nil {
			return 0, err
		}
		if len(plans) == 0 {
			break
		}
		for _, plan := range plans {
			if err := bounded.Protect(func() error { return c.step(ctx, plan) }); err != nil {
				crash.Tell(c.Log, "plan", err)
				failed, all = append(failed, plan.Build.UID), append(all, err)
			}
		}
	}
	return 0, errors.Join(all...)
}

// step commits the next chunk of a plan.
func (c *Chunks) step(ctx context.Context, plan store.OpenPlan) error {
	key := types.NamespacedName{Namespace: plan.Build.Namespace, Name: plan.Build.Name}
	last, err := c.commit(ctx, plan)
	if errors.Is(err, store.ErrStale) {
		return nil // another worker was first
	}
	c.Troubles.note(ctx, key, err)
	if err != nil {
		c.OnUnplanned(key)
		return fmt.Errorf("plan build %s: %w", key, err)
	}
	c.Planned()
	if !last {
		failpoint.Hit(failpoint.PlanAfterChunk)
		return nil
	}
	c.OnUnplanned(key)
	c.Log.Info("planned build in chunks", "namespace", key.Namespace, "build", key.Name)
	return nil
}

func (c *Chunks) commit(ctx context.Context, plan store.OpenPlan) (bool, error) {
	release, err := c.Bounds.take(ctx, c.Bounds.chunk)
	if err != nil {
		return false, err
	}
	defer release()
	pipelines, err := c.Rows.NextChunk(ctx, plan.Build.UID, max(c.Bounds.chunk/max(plan.Artifacts, 1), 1))
	if err != nil {
		return false, err
	}
	chunk := store.Chunk{Build: plan.Build, Pipelines: pipelines, FilterCost: plan.FilterCost}
	if len(pipelines) > 0 && pipelines[0].RootUID == "" {
		budget := &trigger.Budget{Spent: plan.FilterCost}
		if chunk.Decisions, err = c.decide(ctx, plan, pipelines, budget); err != nil {
			return false, err
		}
		chunk.FilterCost = budget.Spent
	}
	last, err := c.Rows.CommitChunk(ctx, chunk)
	if err == nil {
		observe(chunk.Decisions)
	}
	return last, err
}

// decide decides for children of the build as they are now, but for who they are: that was
// fixed when the plan began.
func (c *Chunks) decide(ctx context.Context, plan store.OpenPlan, pipelines []store.PlanPipeline, budget *trigger.Budget) ([]trigger.Decision, error) {
	artifacts, err := c.Rows.Artifacts(ctx, plan.Build.UID)
	if err != nil {
		return nil, err
	}
	if plan.Build.Phase != v1alpha1.BuildSucceeded {
		artifacts = []v1alpha1.Artifact{{}}
	}
	decider := c.Decider
	decider.Budget = budget
	var decisions []trigger.Decision
	var still children
	for _, known := range pipelines {
		pipeline, err := c.current(ctx, plan.Build.Namespace, known)
		switch {
		case err != nil:
			return nil, err
		case pipeline == nil:
			decisions = append(decisions, decider.Gone(plan.Build, artifacts, gone(plan.Build.Namespace, known))...)
		case pipeline.Spec.ParentRef != v1alpha1.ParentReference{Kind: v1alpha1.ParentCiPipeline, Name: plan.Build.CiPipeline}:
			decisions = append(decisions, decider.Moved(artifacts, pipeline)...)
		default:
			still = append(still, *pipeline)
		}
	}
	parent := &v1alpha1.CiPipeline{}
	parent.Name, parent.Spec.Suspend = plan.Build.CiPipeline, plan.Suspended
	return append(decider.Build(plan.Build, parent, artifacts, still), decisions...), nil
}

// current returns a pipeline no older than it was when the plan began, or nil where it is gone;
// one of the same name that was created later is another.
func (c *Chunks) current(ctx context.Context, namespace string, known store.PlanPipeline) (*v1alpha1.CdPipeline, error) {
	key := types.NamespacedName{Namespace: namespace, Name: known.Name}
	pipeline := &v1alpha1.CdPipeline{}
	err := c.Cache.Get(ctx, key, pipeline)
	if err == nil && string(pipeline.UID) == known.UID && pipeline.Generation >= known.Generation {
		return pipeline, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipeline = &v1alpha1.CdPipeline{}
	err = c.Live.Get(ctx, key, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != known.UID) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
}

// gone stands for a pipeline that was deleted.
func gone(namespace string, known store.PlanPipeline) *v1alpha1.CdPipeline {
	pipeline := &v1alpha1.CdPipeline{}
	pipeline.Namespace, pipeline.Name, pipeline.UID = namespace, known.Name, types.UID(known.UID)
	return pipeline
}

// children are those of a build's pipeline in one chunk: what is further below has its own.
type children []v1alpha1.CdPipeline

var _ trigger.Children = children(nil)

// Of returns the children for the CiPipeline alone.
func (c children) Of(kind v1alpha1.ParentKind, _ string) []v1alpha1.CdPipeline {
	if kind != v1alpha1.ParentCiPipeline {
		return nil
	}
	return c
}
