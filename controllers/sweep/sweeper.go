// Package sweep observes what should exist and what does, at start and every few
// minutes, and hands to the other loops what a crash or a lost event left open.
//
// It repairs by asking them to look again, and so never does anything twice.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/plan"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// quiet is how long a task may be without news before its Workflow is looked for.
	quiet = 30 * time.Second
	// pageSize is how many tasks, or objects, are read at once.
	pageSize = 500
	// lookTimeout bounds one look at the API server, waiting for its token bucket
	// included.
	lookTimeout = 60 * time.Second
)

// Rows is what a sweep reads.
type Rows interface {
	// StaleActive lists tasks by id whose Workflow should exist and which have been
	// quiet.
	StaleActive(ctx context.Context, quiet time.Duration, after int64, most int) ([]store.Active, error)
	// Orphans returns those of the Workflows whose task has ended.
	Orphans(ctx context.Context, workflows []types.NamespacedName) ([]store.Orphan, error)
	// Unknown returns those of the Workflows whose name no task has.
	Unknown(ctx context.Context, workflows []types.NamespacedName) ([]types.NamespacedName, error)
	// Adopt commits a run for a Workflow that has none; false where it has.
	Adopt(ctx context.Context, adoption store.Adoption) (bool, error)
}

// Planner plans one build.
type Planner interface {
	// Plan plans the build where that is still to be done.
	Plan(ctx context.Context, build types.NamespacedName) error
}

// Tracker takes note of Workflows.
type Tracker interface {
	Found(identity string, workflow client.Object)
	Gone(task store.Active)
}

// Config is what a Sweeper needs.
type Config struct {
	// Cache reads objects from memory; Live at the API server, in the background
	// class of its token bucket.
	Cache, Live client.Reader
	// Writer patches Workflows in the same class.
	Writer client.Writer
	// Events records events on Workflows.
	Events events.EventRecorder
	Rows   Rows
	// Planner plans builds. Optional: where Workflows run in another cluster there are none.
	Planner Planner
	Tracker Tracker
	// Wake makes the other loops look for tasks.
	Wake func()
	// Interval is the pause between two sweeps.
	Interval time.Duration
	Log      logr.Logger
}

// Sweeper repairs.
type Sweeper struct {
	Config
	*loop.Loop
	// missing are the tasks whose Workflow the last sweep did not find.
	missing map[int64]bool
}

// New returns a sweeper that does nothing until it is started.
func New(config Config) *Sweeper {
	s := &Sweeper{Config: config}
	s.Loop = loop.New(loop.Config{Name: "sweep", Run: s.runOnce, Interval: config.Interval, Log: config.Log})
	return s
}

// runOnce takes every step; one that fails does not keep the others, and is repeated by
// the next sweep.
func (s *Sweeper) runOnce(ctx context.Context) (time.Duration, error) {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"plan finished builds", s.planBuilds},
		{"look for workflows", s.findWorkflows},
		{"stop orphans", s.stopOrphans},
	} {
		if err := bounded.Protect(func() error { return step.run(ctx) }); err != nil && ctx.Err() == nil {
			crash.Tell(s.Log, "sweep", err)
			s.Log.Error(err, "sweep step failed, the next sweep repeats it", "step", step.name)
		}
	}
	s.Wake()
	return 0, nil
}

// planBuilds plans every finished build whose event was lost. One that fails does not
// keep the others.
func (s *Sweeper) planBuilds(ctx context.Context) error {
	if s.Planner == nil {
		return nil
	}
	var builds v1alpha1.CiBuildList
	if err := s.Cache.List(ctx, &builds, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list CiBuilds: %w", err)
	}
	var errs []error
	for i := range builds.Items {
		if !plan.NeedsPlan(&builds.Items[i]) {
			continue
		}
		key := client.ObjectKeyFromObject(&builds.Items[i])
		if err := bounded.Protect(func() error { return s.Planner.Plan(ctx, key) }); err != nil {
			errs = append(errs, fmt.Errorf("plan %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
