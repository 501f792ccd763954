// Package track observes the Workflows that carry our label, and moves their rows
// along the state machine.
//
// Only their metadata is watched: Argo keeps the phase in a label. Changes are
// committed in groups, of each Workflow only the latest.
package track

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;list;watch

const (
	// maxWaiting bounds the rows whose newest state waits for the database.
	maxWaiting = 1_000_000
	// commitInterval is the least time between two commits of what was seen.
	commitInterval = 250 * time.Millisecond
	// maxGroup is how many rows one commit moves: a start sees tens of thousands.
	maxGroup = 2000
)

// Rows is what tracking writes.
type Rows interface {
	// Observe moves rows forward and returns those that moved.
	Observe(ctx context.Context, observations []store.Observation) ([]store.Moved, error)
}

// Config is what a Tracker needs.
type Config struct {
	Rows Rows
	// Moved is told of rows that moved, after the commit.
	Moved func([]store.Moved)
	// Recorded is told of Workflows that carry our finalizer and whose end is
	// committed.
	Recorded func([]types.NamespacedName)
	Log      logr.Logger
}

// Tracker follows Workflows.
type Tracker struct {
	Config
	seen     *batch.Committer[sighting]
	informer cache.Informer
}

// New returns a tracker that does nothing until it is started.
func New(config Config) *Tracker {
	t := &Tracker{Config: config}
	t.seen = batch.NewMerging(batch.Config[sighting]{
		Flush: t.commit, FlushTimeout: 2 * store.WriteTimeout, MinInterval: commitInterval, MaxSize: maxGroup, MaxWaiting: maxWaiting,
		OnError: func(err error, items int, retryIn time.Duration) {
			crash.Tell(t.Log, "track", err)
			t.Log.Error(err, "observations not committed, will retry", "workflows", items, "retryIn", retryIn.String())
		},
	}, keyOf, further)
	return t
}

// Watch makes the tracker see, once it is started, every Workflow that the informer
// sees.
func (t *Tracker) Watch(ctx context.Context, informers cache.Informers) error {
	informer, err := informers.GetInformer(ctx, Workflow())
	if err != nil {
		return fmt.Errorf("watch Workflows: %w", err)
	}
	t.informer = informer
	return nil
}

// NeedLeaderElection keeps two replicas from doing the same work.
func (t *Tracker) NeedLeaderElection() bool { return true }

// Start commits what is seen until the context ends. Only now does the informer tell,
// first of all that there is: a replica that stands by gathers nothing.
func (t *Tracker) Start(ctx context.Context) error {
	if t.informer != nil {
		handler, err := t.informer.AddEventHandler(t)
		if err != nil {
			return fmt.Errorf("watch Workflows: %w", err)
		}
		defer func() { _ = t.informer.RemoveEventHandler(handler) }() // its only error is that there is none
	}
	return t.seen.Run(ctx)
}

// OnAdd implements toolscache.ResourceEventHandler.
func (t *Tracker) OnAdd(object any, _ bool) { t.observe(object, false) }

// OnUpdate implements toolscache.ResourceEventHandler.
func (t *Tracker) OnUpdate(before, after any) {
	if !sameState(before, after) {
		t.observe(after, false)
	}
}

// OnDelete implements toolscache.ResourceEventHandler.
func (t *Tracker) OnDelete(object any) {
	if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	t.observe(object, true)
}

// Found takes note of the Workflow that a row wants and that exists, whichever row it
// names: the tables may have been restored, and the row have another number.
func (t *Tracker) Found(row store.Active, workflow client.Object) {
	seen := sightingOf(workflow, false)
	seen.ID = row.ID
	t.add(seen)
}

// Gone takes note of a row whose Workflow does not exist.
func (t *Tracker) Gone(row store.Active) { t.add(sighting{Observation: gone(row)}) }

func (t *Tracker) observe(object any, deleted bool) {
	workflow, ok := object.(client.Object)
	if !ok {
		return
	}
	if seen := sightingOf(workflow, deleted); seen.ID != 0 {
		t.add(seen)
	}
}

func (t *Tracker) add(seen sighting) {
	err := t.seen.Add(seen)
	if err != nil && !errors.Is(err, batch.ErrClosed) {
		t.Log.Error(err, "observation dropped, the next sweep repeats it", "runner", seen.ID)
	}
}

// commit records a group. Where the database refuses what one of them tells, such as
// that of a Workflow that somebody made to look like ours, the others are recorded
// without it.
func (t *Tracker) commit(ctx context.Context, sightings []sighting) error {
	err := t.record(ctx, sightings)
	if !store.IsInvalid(err) {
		return err
	}
	for i, seen := range sightings {
		err := t.record(ctx, sightings[i:i+1])
		if store.IsInvalid(err) {
			t.Log.Error(err, "observation dropped, the database can't store it", "runner", seen.ID, "workflow", seen.WorkflowName, "namespace", seen.Namespace)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) record(ctx context.Context, sightings []sighting) error {
	observations := make([]store.Observation, len(sightings))
	for i, seen := range sightings {
		observations[i] = seen.Observation
	}
	failpoint.Hit(failpoint.TrackBeforeCommit)
	moved, err := t.Rows.Observe(ctx, observations)
	failpoint.Hit(failpoint.TrackAfterCommit)
	if len(moved) > 0 {
		t.Moved(moved)
	}
	if err == nil {
		t.recorded(sightings)
	}
	return err
}

func (t *Tracker) recorded(sightings []sighting) {
	var held []types.NamespacedName
	for _, seen := range sightings {
		if seen.held.Name != "" {
			held = append(held, seen.held)
		}
	}
	t.Recorded(held)
}
