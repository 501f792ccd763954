// Package receiver observes Receivers, gives each a path, and writes which of them exist into
// Postgres, and their status.
package receiver

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

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const (
	// interval is how often the receivers are looked at where none changes: their status tells
	// of what came last. restInterval is the least time between two looks.
	interval, restInterval = 3 * time.Second, 200 * time.Millisecond
	// calmInterval is the least time between two writes of one status where only its last
	// delivery has changed.
	calmInterval = 5 * time.Second
	// writeTimeout bounds one write, waiting for the API's token bucket included.
	writeTimeout = 30 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=receivers,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=receivers/status,verbs=patch

// Rows are the receivers that exist.
type Rows interface {
	// Receivers returns what is known of all Receivers that exist.
	Receivers(ctx context.Context) (map[types.UID]store.ReceiverState, error)
	// PutReceiver notes how a Receiver is, and returns its path: the one that is given where it
	// has none yet.
	PutReceiver(ctx context.Context, receiver store.Receiver, path string) (string, error)
	// ForgetReceivers notes that all but these are gone.
	ForgetReceivers(ctx context.Context, existing []types.UID) error
}

// Config is what a Controller needs.
type Config struct {
	// Cache reads the Receivers from memory.
	Cache client.Reader
	// Writer patches status.
	Writer client.Client
	Rows   Rows
	Log    logr.Logger
}

// Controller keeps the rows of Receivers, and their status.
type Controller struct {
	*loop.Loop
	Config
	expressions *webhook.Expressions
	wake        *loop.Signal
	informer    cache.Informer

	// The loop alone uses it: when each status was written.
	written map[types.UID]time.Time
}

// New returns a controller that does nothing until it is started.
func New(config Config) (*Controller, error) {
	expressions, err := webhook.NewExpressions()
	if err != nil {
		return nil, err
	}
	c := &Controller{Config: config, expressions: expressions, wake: &loop.Signal{}, written: map[types.UID]time.Time{}}
	c.Loop = loop.New(loop.Config{
		Name: "receiver", Run: c.runOnce, Signal: c.wake, Interval: interval, MinInterval: restInterval, Retry: 2 * time.Second, Jitter: 0.2, Log: config.Log,
	})
	return c, nil
}

// Watch has the cache read Receivers, and the controller look at those that change.
func (c *Controller) Watch(ctx context.Context, informers cache.Informers) (err error) {
	if c.informer, err = informers.GetInformer(ctx, &v1alpha1.Receiver{}); err != nil {
		return fmt.Errorf("watch Receivers: %w", err)
	}
	return nil
}

// Start keeps the rows until the context ends.
func (c *Controller) Start(ctx context.Context) error {
	registered, err := c.informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.wake.Notify() }, UpdateFunc: func(any, any) { c.wake.Notify() }, DeleteFunc: func(any) { c.wake.Notify() },
	})
	if err != nil {
		return fmt.Errorf("watch Receivers: %w", err)
	}
	defer func() { _ = c.informer.RemoveEventHandler(registered) }() // fails only where it is not registered
	return c.Loop.Start(ctx)
}

// runOnce compares the Receivers with their rows.
func (c *Controller) runOnce(ctx context.Context) (time.Duration, error) {
	var all v1alpha1.ReceiverList
	if err := c.Cache.List(ctx, &all); err != nil {
		return 0, fmt.Errorf("list Receivers: %w", err)
	}
	known, err := c.Rows.Receivers(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.forget(ctx, all.Items, known); err != nil {
		return 0, err
	}
	var failed []error
	for i := range all.Items {
		receiver := &all.Items[i]
		state, err := c.note(ctx, receiver, known[receiver.UID])
		if err == nil {
			err = c.report(ctx, receiver, state)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("receiver %s/%s: %w", receiver.Namespace, receiver.Name, err))
		}
	}
	return 0, errors.Join(failed...)
}

// forget notes which Receivers are gone, at once: nothing is received for them.
func (c *Controller) forget(ctx context.Context, existing []v1alpha1.Receiver, known map[types.UID]store.ReceiverState) error {
	gone := len(known)
	uids := make([]types.UID, len(existing))
	for i := range existing {
		uids[i] = existing[i].UID
		if _, found := known[existing[i].UID]; found {
			gone--
		}
	}
	if gone == 0 {
		return nil
	}
	for uid := range known {
		delete(c.written, uid)
	}
	return c.Rows.ForgetReceivers(ctx, uids)
}

// note writes a Receiver's row where it has changed, and gives it a path where it has none.
func (c *Controller) note(ctx context.Context, receiver *v1alpha1.Receiver, state store.ReceiverState) (store.ReceiverState, error) {
	if state.Path != "" && state.Generation == receiver.Generation {
		return state, nil
	}
	path, err := c.Rows.PutReceiver(ctx, store.Receiver{
		NamespacedName: client.ObjectKeyFromObject(receiver), UID: receiver.UID, Generation: receiver.Generation, Spec: receiver.Spec,
	}, newPath())
	state.Path, state.Generation = path, receiver.Generation
	return state, err
}
