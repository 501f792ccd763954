// Package hold observes CdPipelines of which something waits, the templates that it waits
// for, and the time, and lets go on, or cancels, what is held no longer.
package hold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// minInterval is the least time between two looks, retry the pause after an error.
	minInterval, retry = time.Second, 2 * time.Second
	// readTimeout bounds one read at the API server, waiting for its token bucket included.
	readTimeout = 15 * time.Second
)

// Rows is what a Holder reads and writes.
type Rows interface {
	// WaitingPipelines returns every pipeline of which something waits.
	WaitingPipelines(ctx context.Context) ([]store.Waiting, error)
	// Reconsider looks anew at what holds the stages of a pipeline, and at whose turn it is;
	// hold, where there is one, holds what waits for a slot as well.
	Reconsider(ctx context.Context, pipeline store.PipelineRef, hold trigger.Hold, holdOf func(store.Held) trigger.Hold) error
	// CancelWaiting ends what waits of a pipeline.
	CancelWaiting(ctx context.Context, pipelineUID string, reason v1alpha1.Reason, message string) ([]store.Moved, error)
	// CancelOfOtherParents ends what waits of a pipeline and another parent has triggered.
	CancelOfOtherParents(ctx context.Context, pipelineUID, parent, message string) ([]store.Moved, error)
	// SetPriority moves what waits of a pipeline to its place in the queue.
	SetPriority(ctx context.Context, pipelineUID string, priority int32) error
	// EndTemplateWaits ends what has waited for the template of a stage for longer than the wait.
	EndTemplateWaits(ctx context.Context, pipelineUID string, stage trigger.Stage, wait time.Duration, message string) ([]store.Moved, error)
}

// Config is what a Holder needs.
type Config struct {
	// Cache reads CdPipelines and templates from memory; Live at the API server.
	Cache, Live client.Reader
	Rows        Rows
	// Templates returns who reads the templates of another cluster, from memory; false while
	// that is not known. Optional.
	Templates func(cluster string) (client.Reader, bool)
	// Interval is how often it looks without a change.
	Interval time.Duration
	// TemplateWait is how long a stage waits for a template that does not exist.
	TemplateWait time.Duration
	// Freeze returns the freeze that is in force.
	Freeze func() trigger.Freeze
	// OnCommit is called after something was let go on or cancelled.
	OnCommit func()
	Log      logr.Logger
}

// Holder looks at what waits whenever a CdPipeline changes, at start, and now and then.
type Holder struct {
	*loop.Loop
	Config
	changes loop.Signal
	watched []watched
	// awaitsTemplate tells that something waited for a template at the last look. The timer
	// wakes when the first of it has waited too long, a window opens or a freeze ends.
	awaitsTemplate atomic.Bool
	// refrozen tells that another freeze is in force than at the last look.
	refrozen atomic.Bool
	timer    *time.Timer

	mu      sync.Mutex
	changed map[types.NamespacedName]bool
}

// watched is a kind of object that the holder is told of.
type watched struct {
	informer cache.Informer
	handler  toolscache.ResourceEventHandler
}

// New returns a holder that does nothing until it is started.
func New(config Config) *Holder {
	h := &Holder{Config: config, changed: map[types.NamespacedName]bool{}}
	h.timer = time.AfterFunc(time.Hour, h.changes.Notify)
	h.timer.Stop()
	h.Loop = loop.New(loop.Config{
		Name: "hold", Run: h.runOnce, Signal: &h.changes, Interval: config.Interval, MinInterval: minInterval, Retry: retry, Log: config.Log,
	})
	return h
}

// Watch makes the holder see, once it is started, which CdPipelines change and which
// templates appear.
func (h *Holder) Watch(ctx context.Context, informers cache.Informers) error {
	informer, err := informers.GetInformer(ctx, &v1alpha1.CdPipeline{})
	if err != nil {
		return fmt.Errorf("watch CdPipelines: %w", err)
	}
	h.watched = append(h.watched, watched{informer, h.handler()})
	return h.watchTemplates(ctx, informers)
}

// Start looks until the context ends. What changed while nobody looked is found at once.
func (h *Holder) Start(ctx context.Context) error {
	defer h.timer.Stop()
	stop, err := h.listen()
	defer stop()
	if err != nil {
		return err
	}
	return h.Loop.Start(ctx)
}

// listen has the informers tell the holder until stop is called.
func (h *Holder) listen() (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, one := range stops {
			one()
		}
	}
	for _, kind := range h.watched {
		registered, err := kind.informer.AddEventHandler(kind.handler)
		if err != nil {
			return stop, fmt.Errorf("watch for holds: %w", err)
		}
		// Fails only where it is not registered.
		stops = append(stops, func() { _ = kind.informer.RemoveEventHandler(registered) })
	}
	return stop, nil
}

// Moved looks at pipelines of which a task was held when it was to be submitted: its turn
// is to be yielded. It never blocks.
func (h *Holder) Moved(tasks []store.Moved) {
	for _, task := range tasks {
		if store.Status(task.Status) == store.StatusHeld {
			h.noteKey(types.NamespacedName{Namespace: task.Namespace, Name: task.Pipeline})
		}
	}
}

// Refreeze looks again at all that waits for the time: another freeze is in force. It never
// blocks.
func (h *Holder) Refreeze() {
	h.refrozen.Store(true)
	h.changes.Notify()
}

// handler notes pipelines whose spec has changed, or that are gone. New ones have nothing
// that waits.
func (h *Holder) handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			old, current := before.(*v1alpha1.CdPipeline), after.(*v1alpha1.CdPipeline)
			if old.Generation != current.Generation || old.UID != current.UID {
				h.note(current)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if pipeline, ok := object.(*v1alpha1.CdPipeline); ok {
				h.note(pipeline)
			}
		},
	}
}

func (h *Holder) note(pipeline *v1alpha1.CdPipeline) { h.noteKey(client.ObjectKeyFromObject(pipeline)) }

func (h *Holder) noteKey(key types.NamespacedName) {
	h.mu.Lock()
	h.changed[key] = true
	h.mu.Unlock()
	h.changes.Notify()
}

// take returns what has changed, and forgets it.
func (h *Holder) take() map[types.NamespacedName]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.changed
	h.changed = map[types.NamespacedName]bool{}
	return taken
}

// runOnce looks at every pipeline of which something waits. One that fails does not keep
// the others.
func (h *Holder) runOnce(ctx context.Context) (time.Duration, error) {
	changed := h.take()
	waiting, err := h.Rows.WaitingPipelines(ctx)
	if err != nil {
		h.putBack(changed)
		return 0, err
	}
	h.lookLater(ctx, waiting)
	refrozen := h.refrozen.Swap(false)
	var errs []error
	wait := map[types.NamespacedName]bool{}
	for _, one := range waiting {
		key := types.NamespacedName{Namespace: one.Namespace, Name: one.Pipeline}
		wait[key] = true
		if err := cmp.Or(h.look(ctx, one, changed[key] || (refrozen && waitsForTime(one))), h.endTemplateWaits(ctx, one)); err != nil {
			errs = append(errs, fmt.Errorf("look at CdPipeline %s: %w", key, err))
			h.putBack(map[types.NamespacedName]bool{key: true})
		}
	}
	for key := range changed {
		if wait[key] {
			continue
		}
		if err := h.prioritise(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("look at CdPipeline %s: %w", key, err))
			h.putBack(map[types.NamespacedName]bool{key: true})
		}
	}
	return 0, errors.Join(errs...)
}

// prioritise gives the priority of a pipeline, of which nothing waits, to the stages behind
// those that run.
func (h *Holder) prioritise(ctx context.Context, key types.NamespacedName) error {
	pipeline := &v1alpha1.CdPipeline{}
	if err := h.Cache.Get(ctx, key, pipeline); err != nil {
		return client.IgnoreNotFound(err)
	}
	return h.Rows.SetPriority(ctx, string(pipeline.UID), pipeline.Spec.Priority)
}

func (h *Holder) putBack(changed map[types.NamespacedName]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range changed {
		h.changed[key] = true
	}
}

// look acts where the pipeline's spec says otherwise than what waits of it.
func (h *Holder) look(ctx context.Context, waiting store.Waiting, changed bool) error {
	pipeline, err := get(ctx, h.Cache, waiting)
	if err != nil {
		return err
	}
	if !changed && !differs(pipeline, waiting) {
		appeared, err := h.templateAppeared(ctx, pipeline, waiting)
		if err != nil || (!appeared && !h.timeHas(pipeline, waiting)) {
			return err
		}
	}
	// The cache may be behind, and what is cancelled is cancelled for good.
	if pipeline, err = get(ctx, h.Live, waiting); err != nil {
		return err
	}
	defer h.OnCommit()
	switch {
	case pipeline == nil:
		return h.cancel(ctx, waiting, v1alpha1.ReasonPipelineDeleted, "was deleted while it waited")
	case pipeline.Spec.Suspend:
		return h.cancel(ctx, waiting, v1alpha1.ReasonSuspended, "was suspended while it waited")
	}
	if err := h.Rows.SetPriority(ctx, waiting.UID, pipeline.Spec.Priority); err != nil {
		return err
	}
	if parent := trigger.ParentOf(pipeline); hasOther(waiting.Parents, parent) {
		if _, err := h.Rows.CancelOfOtherParents(ctx, waiting.UID, parent, trigger.ParentChanged(pipeline)); err != nil {
			return err
		}
	}
	return h.reconsider(ctx, pipeline, waiting)
}

// hasOther tells whether one of the texts is another.
func hasOther(texts []string, than string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return text != than })
}

// reconsider looks at what holds each stage that waits, by the pipeline as it is now.
func (h *Holder) reconsider(ctx context.Context, pipeline *v1alpha1.CdPipeline, waiting store.Waiting) error {
	templates, err := h.templateHolds(ctx, h.Cache, pipeline, waiting)
	if errors.Is(err, errNotKnown) {
		templates, err = stillHeld(waiting), nil
	}
	if err != nil {
		return err
	}
	ref := store.PipelineRef{UID: waiting.UID, Namespace: waiting.Namespace, Name: waiting.Pipeline, Policy: pipeline.Spec.ConcurrencyPolicy}
	var hold trigger.Hold
	if pipeline.Spec.Hold {
		hold = trigger.HoldOf(pipeline, trigger.StageDeploy, true)
	}
	return h.Rows.Reconsider(ctx, ref, hold, func(held store.Held) trigger.Hold {
		hold := trigger.HoldOf(pipeline, held.Stage, held.Resumed)
		switch {
		case hold != (trigger.Hold{}):
			return hold
		case held.Reason == v1alpha1.ReasonTemplate:
			return templates[held.Stage]
		case held.Reason == v1alpha1.ReasonWindow || held.Reason == v1alpha1.ReasonFreeze:
			return trigger.TimeHold(pipeline, held.Stage, h.Freeze(), time.Now())
		default:
			return trigger.Hold{}
		}
	})
}

func (h *Holder) cancel(ctx context.Context, waiting store.Waiting, reason v1alpha1.Reason, what string) error {
	_, err := h.Rows.CancelWaiting(ctx, waiting.UID, reason, fmt.Sprintf("CdPipeline %s %s", waiting.Pipeline, what))
	return err
}

// differs tells whether the spec holds or cancels other than what waits.
func differs(pipeline *v1alpha1.CdPipeline, waiting store.Waiting) bool {
	if pipeline == nil || pipeline.Spec.Suspend {
		return true
	}
	return waiting.Unyielded || hasOther(waiting.Parents, trigger.ParentOf(pipeline)) ||
		min(waiting.Lowest, pipeline.Spec.Priority) != max(waiting.Highest, pipeline.Spec.Priority) || heldOtherwise(pipeline, waiting) ||
		slices.ContainsFunc(waiting.PersonStages, func(stage trigger.Stage) bool { return !isManual(pipeline, stage) })
}

// heldOtherwise tells whether spec.hold holds what waits otherwise, or would hold it.
func heldOtherwise(pipeline *v1alpha1.CdPipeline, waiting store.Waiting) bool {
	by := func(reasons ...v1alpha1.Reason) bool {
		return slices.ContainsFunc(reasons, func(reason v1alpha1.Reason) bool { return slices.Contains(waiting.Reasons, string(reason)) })
	}
	if !pipeline.Spec.Hold {
		return by(v1alpha1.ReasonHold) || (by(v1alpha1.ReasonTurn) && pipeline.Spec.ConcurrencyPolicy == v1alpha1.ConcurrencyAllow)
	}
	return waiting.Unclaimed || by(v1alpha1.ReasonTemplate, v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze, v1alpha1.ReasonTurn)
}

func isManual(pipeline *v1alpha1.CdPipeline, stage trigger.Stage) bool {
	spec := trigger.StageSpec(pipeline, stage)
	return spec != nil && spec.Trigger == v1alpha1.TriggerManual
}

// get returns the pipeline that waits, or nil where it is gone; one of the same name that
// was created later is another.
func get(ctx context.Context, reader client.Reader, waiting store.Waiting) (*v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipeline := &v1alpha1.CdPipeline{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: waiting.Namespace, Name: waiting.Pipeline}, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != waiting.UID) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
}
