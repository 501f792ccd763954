// Package track observes the Workflows that carry our label, and moves their tasks
// along the state machine.
//
// Only their metadata is watched: Argo keeps the phase in a label. Changes are
// committed in groups, of each Workflow only the latest.
package track

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;list;watch

const (
	// maxWaiting bounds the tasks whose newest state waits for the database.
	maxWaiting = 1_000_000
	// commitInterval is the least time between two commits of what was seen.
	commitInterval = 250 * time.Millisecond
	// maxGroup is how many tasks one commit moves: a start sees tens of thousands.
	maxGroup = 2000
	// maxListed is how many tasks of the informer's first list wait at most: the informer holds
	// the rest, at a fraction of the memory.
	maxListed = 2 * maxGroup
)

// Rows is what tracking writes.
type Rows interface {
	// Observe moves tasks forward and returns those that moved.
	Observe(ctx context.Context, observations []store.Observation) ([]store.Moved, error)
	// Open returns those of the Workflows that are of a task which has not ended.
	Open(ctx context.Context, workflows []types.NamespacedName) ([]types.NamespacedName, error)
	// EndedOtherwise returns the tasks that have ended otherwise than was seen.
	EndedOtherwise(ctx context.Context, seen []store.Observation) ([]store.Doubt, error)
	// Reopen has tasks go on whose Workflows were retried, and returns them.
	Reopen(ctx context.Context, retried []store.Retried) ([]store.Reopened, error)
}

// Config is what a Tracker needs.
type Config struct {
	Rows Rows
	// Live reads, and Writer patches, Workflows at the API server, in the background class
	// of its token bucket.
	Live   client.Reader
	Writer client.Writer
	// Moved is told of tasks that moved, after the commit.
	Moved func([]store.Moved)
	// Recorded is told of Workflows that carry our finalizer and whose end is
	// committed, or that no task waits for.
	Recorded func([]types.NamespacedName)
	// Deleted is told of the namespace of each Workflow that left the watch. Optional.
	Deleted func(namespace string)
	// Events records events on CdPipelines.
	Events events.EventRecorder
	Log    logr.Logger
}

// Tracker follows Workflows.
type Tracker struct {
	Config
	seen     *batch.Committer[sighting]
	departed *batch.Committer[departure]
	doubts   *batch.Committer[store.Doubt]
	informer cache.Informer
}

// New returns a tracker that does nothing until it is started.
func New(config Config) *Tracker {
	t := &Tracker{Config: config}
	t.seen = batch.NewMerging(batch.Config[sighting]{
		Flush: t.commit, Splits: store.IsTimeout, FlushTimeout: 2 * store.WriteTimeout, MinInterval: commitInterval, MaxSize: maxGroup, MaxWaiting: maxWaiting,
		OnError: func(err error, items int, retryIn time.Duration) {
			crash.Tell(t.Log, "track", err)
			t.Log.Error(err, "observations not committed, will retry", "workflows", items, "retryIn", retryIn.String())
		},
	}, keyOf, further)
	t.departed = t.newDepartures()
	t.doubts = t.newDoubts()
	return t
}

// Watch makes the tracker see, once it is started, every Workflow that the informer
// sees.
func (t *Tracker) Watch(ctx context.Context, informers cache.Informers) error {
	informer, err := informers.GetInformer(ctx, argo.Workflow())
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
		handler, err := t.informer.AddEventHandler(t.handler(ctx))
		if err != nil {
			return fmt.Errorf("watch Workflows: %w", err)
		}
		defer func() { _ = t.informer.RemoveEventHandler(handler) }() // it fails only if the handler is not registered
	}
	var all errgroup.Group
	all.Go(func() error { return t.departed.Run(ctx) })
	all.Go(func() error { return t.followRetried(ctx) })
	all.Go(func() error { return t.seen.Run(ctx) })
	return all.Wait()
}

// handler is the tracker, which the informer tells of its first list no faster than it commits.
func (t *Tracker) handler(ctx context.Context) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, isInInitialList bool) {
			for isInInitialList && t.seen.Waiting() >= maxListed && pause.For(ctx, commitInterval/2) {
			}
			t.OnAdd(object, isInInitialList)
		},
		UpdateFunc: t.OnUpdate, DeleteFunc: t.OnDelete,
	}
}

// OnAdd implements toolscache.ResourceEventHandler. One that has just been created, and
// that Argo has not seen, tells what its submitter commits as well; where that has crashed,
// the next attempt finds the Workflow.
func (t *Tracker) OnAdd(object any, isInInitialList bool) {
	if workflow, ok := object.(client.Object); ok && !isInInitialList && argo.Phase(workflow) == "" && workflow.GetDeletionTimestamp() == nil {
		return
	}
	t.observe(object, false)
}

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
	workflow, ok := object.(client.Object)
	if ok && t.Deleted != nil {
		t.Deleted(workflow.GetNamespace())
	}
	if !ok || argo.HasEnded(workflow) {
		t.observe(object, true)
		return
	}
	if left := departureOf(workflow); left.lost.Identity != "" {
		t.depart(left)
	}
}

// Found takes note of the Workflow that a task of this identity wants and that exists.
func (t *Tracker) Found(identity string, workflow client.Object) {
	if isLabelled(workflow, identity) {
		t.add(sightingOf(workflow, false))
		return
	}
	left := departureOf(workflow)
	left.lost.Identity = identity
	t.depart(left)
}

// Gone takes note of a task whose Workflow does not exist.
func (t *Tracker) Gone(task store.Active) { t.add(sighting{Observation: argo.Gone(task)}) }

func (t *Tracker) observe(object any, deleted bool) {
	workflow, ok := object.(client.Object)
	if !ok {
		return
	}
	if seen := sightingOf(workflow, deleted); seen.Identity != "" {
		t.add(seen)
	}
}

func (t *Tracker) add(seen sighting) {
	err := t.seen.Add(seen)
	if err != nil && !errors.Is(err, batch.ErrClosed) {
		t.Log.Error(err, "observation dropped, the next sweep repeats it", "workflow", seen.WorkflowName, "namespace", seen.Namespace)
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
			t.Log.Error(err, "observation dropped, the database can't store it", "workflow", seen.WorkflowName, "namespace", seen.Namespace)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) record(ctx context.Context, sightings []sighting) error {
	if err := t.explain(ctx, sightings); err != nil {
		return err
	}
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
	var busy *store.BusyError
	if errors.As(err, &busy) {
		sightings, err = t.putBack(sightings, busy.Workflows), nil
	}
	if err != nil {
		return err
	}
	if err := t.doubt(ctx, sightings, moved); err != nil {
		return err
	}
	return t.recorded(ctx, sightings, moved)
}

// putBack has the sightings of tasks that somebody else holds locked wait for the next
// commit, and returns the others.
func (t *Tracker) putBack(sightings []sighting, busy []types.NamespacedName) []sighting {
	var committed []sighting
	for _, seen := range sightings {
		if slices.Contains(busy, types.NamespacedName{Namespace: seen.Namespace, Name: seen.WorkflowName}) {
			t.add(seen)
			continue
		}
		committed = append(committed, seen)
	}
	return committed
}

// recorded lets go of Workflows whose end a task has taken, or can't take since there is
// none. One that a task waits for is kept, such as one that only looks like the task's.
func (t *Tracker) recorded(ctx context.Context, sightings []sighting, moved []store.Moved) error {
	taken := make(map[types.NamespacedName]bool, len(moved))
	for _, task := range moved {
		taken[types.NamespacedName{Namespace: task.Namespace, Name: task.WorkflowName}] = task.HasEnded()
	}
	var release, doubtful []types.NamespacedName
	for _, seen := range sightings {
		switch {
		case seen.held.Name == "":
		case taken[seen.held] && !trigger.IsBuildName(seen.held.Name): // a build's outputs are read first
			release = append(release, seen.held)
		default:
			doubtful = append(doubtful, seen.held)
		}
	}
	if len(doubtful) > 0 {
		open, err := t.Rows.Open(ctx, doubtful)
		if err != nil {
			return err
		}
		release = append(release, slices.DeleteFunc(doubtful, func(name types.NamespacedName) bool { return slices.Contains(open, name) })...)
	}
	t.Recorded(release)
	return nil
}

// sameState is false where a change of the Workflow may mean something for its task.
func sameState(before, after any) bool {
	old, isOld := before.(client.Object)
	current, isCurrent := after.(client.Object)
	return isOld && isCurrent && argo.Phase(old) == argo.Phase(current) &&
		old.GetUID() == current.GetUID() && (old.GetDeletionTimestamp() == nil) == (current.GetDeletionTimestamp() == nil)
}
