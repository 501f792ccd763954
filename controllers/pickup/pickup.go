// Package pickup observes Workflows that no Argo controller takes up, and notes that on
// their tasks, from where conditions and events tell it.
package pickup

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// pageSize is how many tasks are read, and noted, at once.
	pageSize = 500
	// interval is the most time between two looks; a shorter timeout is looked for more
	// often, but never more than once in minInterval.
	interval, minInterval = 30 * time.Second, time.Second
	// looksPerTimeout bounds how late a Workflow is told of, as a part of the timeout.
	looksPerTimeout = 4
)

// Rows is what a Watcher reads and writes.
type Rows interface {
	// Submitted lists tasks by id whose Workflow exists for longer than since and is not
	// known to have begun.
	Submitted(ctx context.Context, since time.Duration, after int64, most int) ([]store.Submitted, error)
	// MarkPickup notes whether Workflows were taken up, and returns the tasks that changed.
	MarkPickup(ctx context.Context, pickups []store.Pickup) ([]store.Moved, error)
}

// Config is what a Watcher needs.
type Config struct {
	Rows Rows
	// Cache reads Workflows from memory: whoever lags behind by the whole timeout has other
	// troubles.
	Cache client.Reader
	// Timeout is how long a Workflow may have no phase, from 1 s on.
	Timeout time.Duration
	// Moved is told of tasks that changed, after the commit.
	Moved func([]store.Moved)
	// OnCount is told how many Workflows wait. Defaults to the metric.
	OnCount func(waiting int)
	Log     logr.Logger
}

// Watcher looks for Workflows without a phase.
type Watcher struct {
	*loop.Loop
	Config
}

// New returns a watcher that does nothing until it is started.
func New(config Config) *Watcher {
	w := &Watcher{Config: config}
	if w.OnCount == nil {
		w.OnCount = func(waiting int) { notTakenUp.Set(float64(waiting)) }
	}
	w.Loop = loop.New(loop.Config{
		Name: "pickup", Run: w.runOnce, Interval: min(max(config.Timeout/looksPerTimeout, minInterval), interval), Log: config.Log,
	})
	return w
}

// runOnce looks at all tasks; the gauge tells what it found once it has seen all.
func (w *Watcher) runOnce(ctx context.Context) (time.Duration, error) {
	waiting := 0
	for after := int64(0); ; {
		tasks, err := w.Rows.Submitted(ctx, w.Timeout, after, pageSize)
		if err != nil {
			return 0, err
		}
		page, err := w.judge(ctx, tasks)
		if err != nil {
			return 0, err
		}
		waiting += page
		if len(tasks) < pageSize {
			w.OnCount(waiting)
			return 0, nil
		}
		after = tasks[len(tasks)-1].ID
	}
}

// judge notes what has changed, and returns how many Workflows wait.
func (w *Watcher) judge(ctx context.Context, tasks []store.Submitted) (waiting int, err error) {
	var changed []store.Pickup
	for _, task := range tasks {
		waits, err := w.waits(ctx, task)
		if err != nil {
			return 0, err
		}
		if waits {
			waiting++
		}
		if waits != task.NotTakenUp {
			changed = append(changed, w.pickup(task, waits))
		}
	}
	if len(changed) == 0 {
		return waiting, nil
	}
	moved, err := w.Rows.MarkPickup(ctx, changed)
	if err != nil {
		return 0, err
	}
	if len(moved) > 0 {
		w.Log.Info("workflows were not taken up by any argo controller, or are now", "changed", len(moved), "waiting", waiting)
		w.Moved(moved)
	}
	return waiting, nil
}

// waits tells whether the task's Workflow exists and has no phase. One that the cache does
// not show is looked for by the sweep.
func (w *Watcher) waits(ctx context.Context, task store.Submitted) (bool, error) {
	workflow := argo.Workflow()
	err := w.Cache.Get(ctx, types.NamespacedName{Namespace: task.Namespace, Name: task.WorkflowName}, workflow)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get workflow: %w", err)
	}
	isTasks := task.WorkflowUID == "" || string(workflow.GetUID()) == task.WorkflowUID
	return isTasks && argo.Phase(workflow) == "" && workflow.GetDeletionTimestamp() == nil, nil
}

func (w *Watcher) pickup(task store.Submitted, waits bool) store.Pickup {
	if !waits {
		return store.Pickup{ID: task.ID}
	}
	return store.Pickup{ID: task.ID, Reason: v1alpha1.ReasonNotTakenUp, Message: fmt.Sprintf(
		"Workflow %s was not taken up by any Argo controller within %s: check that one runs that watches namespace %s, and that the label of its instanceID is in WORKFLOW_LABELS or in the stage's labels",
		task.WorkflowName, w.Timeout, task.Namespace)}
}
