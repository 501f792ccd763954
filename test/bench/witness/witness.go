// Package witness observes the Workflows of a namespace through a watch, and notes
// when it first saw each; it writes nothing.
package witness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	retry "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
)

// Witness sees Workflows come into being. Stop ends it.
type Witness struct {
	watch watch.Interface
	done  sync.WaitGroup

	mu      sync.Mutex
	seen    map[string][]time.Time // by build, in the order in which they were seen
	err     error
	changed chan struct{} // closed and made anew with every change
}

// Watch begins to look for Workflows that come from now on. A watch that the API
// server ends is taken up where it ended.
func Watch(ctx context.Context, cluster client.WithWatch, namespace string) (*Witness, error) {
	now := workflows()
	if err := cluster.List(ctx, now, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("list workflows: %w", err)
	}
	events, err := retry.NewRetryWatcherWithContext(ctx, now.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return cluster.Watch(ctx, workflows(), client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch workflows: %w", err)
	}
	w := &Witness{watch: events, seen: map[string][]time.Time{}, changed: make(chan struct{})}
	w.done.Go(w.run)
	return w, nil
}

func workflows() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(argo.Workflow().GroupVersionKind())
	return list
}

// Stop ends the watch and waits for that.
func (w *Witness) Stop() {
	w.watch.Stop()
	w.done.Wait()
}

func (w *Witness) run() {
	for event := range w.watch.ResultChan() {
		w.note(event, time.Now())
	}
	w.update(func() {
		if w.err == nil {
			w.err = errors.New("the watch of workflows has ended")
		}
	})
}

func (w *Witness) note(event watch.Event, now time.Time) {
	workflow, ok := event.Object.(client.Object)
	switch {
	case event.Type == watch.Error:
		w.update(func() { w.err = fmt.Errorf("watch workflows: %v", event.Object) })
	case ok && event.Type == watch.Added:
		build := workflow.GetLabels()[v1alpha1.LabelBuild]
		w.update(func() { w.seen[build] = append(w.seen[build], now) })
	}
}

func (w *Witness) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

// Await returns when the n-th Workflow of the build was seen, once it was.
func (w *Witness) Await(ctx context.Context, build string, n int) (time.Time, error) {
	for {
		seen, changed, err := w.look(build)
		if len(seen) >= n {
			return seen[n-1], nil
		}
		if err != nil {
			return time.Time{}, err
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d of %d Workflows of build %s exist: %w", len(seen), n, build, ctx.Err())
		case <-changed:
		}
	}
}

func (w *Witness) look(build string) ([]time.Time, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[build], w.changed, w.err
}
