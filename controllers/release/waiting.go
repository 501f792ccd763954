package release

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/loop"
)

// maxWaiting bounds the places in a waiting. One more Workflow is released after the
// next start.
const maxWaiting = 1_000_000

// waiting holds the Workflows that wait to be released, each once, in the order in which
// they came. It is safe for concurrent use.
type waiting struct {
	// signal is notified while there are some.
	signal loop.Signal

	mu sync.Mutex
	// order has a place also for those that takeOf has taken, until take comes to it.
	order []types.NamespacedName
	names map[string]map[string]time.Time // by namespace: since when each waits
}

func newWaiting() *waiting { return &waiting{names: map[string]map[string]time.Time{}} }

func (w *waiting) add(names ...types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, name := range names {
		of := w.names[name.Namespace]
		if _, waits := of[name.Name]; waits || len(w.order) >= maxWaiting {
			continue
		}
		if of == nil {
			of = map[string]time.Time{}
			w.names[name.Namespace] = of
		}
		of[name.Name] = now
		w.order = append(w.order, name)
	}
	w.notify()
}

// take removes and returns the first ones, at most that many, and since when the oldest of
// them waits.
func (w *waiting) take(most int) (taken []types.NamespacedName, oldest time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.order) > 0 && len(taken) < most {
		name := w.order[0]
		w.order = w.order[1:]
		if since, waited := w.remove(name); waited {
			taken = append(taken, name)
			if oldest.IsZero() || since.Before(oldest) {
				oldest = since
			}
		}
	}
	if len(w.order) == 0 {
		w.order = nil // what a burst took is given back
	}
	w.notify()
	return taken, oldest
}

// takeOf removes and returns those of a namespace.
func (w *waiting) takeOf(namespace string) []types.NamespacedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := slices.Sorted(maps.Keys(w.names[namespace]))
	delete(w.names, namespace)
	taken := make([]types.NamespacedName, len(names))
	for i, name := range names {
		taken[i] = types.NamespacedName{Namespace: namespace, Name: name}
	}
	return taken
}

// remove tells since when the Workflow has waited, and whether. The caller holds the lock.
func (w *waiting) remove(name types.NamespacedName) (since time.Time, waited bool) {
	of := w.names[name.Namespace]
	since, waited = of[name.Name]
	if !waited {
		return since, false
	}
	delete(of, name.Name)
	if len(of) == 0 {
		delete(w.names, name.Namespace)
	}
	return since, true
}

// notify wakes the loop where some wait. The caller holds the lock.
func (w *waiting) notify() {
	if len(w.names) > 0 {
		w.signal.Notify()
	}
}
