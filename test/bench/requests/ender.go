package requests

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	retry "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/bench/fixture"
)

// What Argo's controller does to the labels of a Workflow that it takes up, and of one that
// ends well.
const (
	running   = `{"metadata":{"labels":{"workflows.argoproj.io/phase":"Running"}}}`
	succeeded = `{"metadata":{"labels":{"workflows.argoproj.io/phase":"Succeeded","workflows.argoproj.io/completed":"true"}}}`
)

// ender takes up every Workflow of a namespace at once, and ends it well after a while.
type ender struct {
	cluster *fixture.Cluster
	long    time.Duration
	cancel  context.CancelCauseFunc
	done    sync.WaitGroup
}

// end returns a context that ends with the first write that fails.
func end(ctx context.Context, cluster *fixture.Cluster, namespace string, long time.Duration) (context.Context, *ender, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	events, err := watchWorkflows(ctx, cluster, namespace)
	if err != nil {
		cancel(err)
		return nil, nil, err
	}
	e := &ender{cluster: cluster, long: long, cancel: cancel}
	e.done.Go(func() {
		defer events.Stop()
		for event := range events.ResultChan() {
			if workflow, ok := event.Object.(*metav1.PartialObjectMetadata); ok && event.Type == watch.Added {
				e.done.Go(func() { e.live(ctx, workflow) })
			}
		}
	})
	return ctx, e, nil
}

// watchWorkflows sees the Workflows that come from now on. A watch that ends is taken up where
// it ended.
func watchWorkflows(ctx context.Context, cluster *fixture.Cluster, namespace string) (watch.Interface, error) {
	list := func() *metav1.PartialObjectMetadataList {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(argo.Workflow().GroupVersionKind())
		return list
	}
	now := list()
	if err := cluster.Client.List(ctx, now, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("list workflows: %w", err)
	}
	events, err := retry.NewRetryWatcherWithContext(ctx, now.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return cluster.Client.Watch(ctx, list(), client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch workflows: %w", err)
	}
	return events, nil
}

// live is the life of one Workflow.
func (e *ender) live(ctx context.Context, workflow *metav1.PartialObjectMetadata) {
	e.patch(ctx, workflow, running)
	select {
	case <-ctx.Done():
	case <-time.After(e.long):
		e.patch(ctx, workflow, succeeded)
	}
}

func (e *ender) patch(ctx context.Context, workflow *metav1.PartialObjectMetadata, text string) {
	workflow.SetGroupVersionKind(argo.Workflow().GroupVersionKind()) // an event's object has lost it
	err := e.cluster.Client.Patch(ctx, workflow, client.RawPatch(types.MergePatchType, []byte(text)))
	if err != nil {
		e.cancel(fmt.Errorf("play Argo's controller: %w", err))
	}
}

func (e *ender) stop() {
	e.cancel(nil)
	e.done.Wait()
}
