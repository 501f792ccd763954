package release

import (
	"maps"
	"slices"
	"sync"

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
	names map[string]map[string]struct{} // by namespace
}

func newWaiting() *waiting { return &waiting{names: map[string]map[string]struct{}{}} }

func (w *waiting) add(names ...types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		of := w.names[name.Namespace]
		if _, waits := of[name.Name]; waits || len(w.order) >= maxWaiting {
			continue
		}
		if of == nil {
			of = map[string]struct{}{}
			w.names[name.Namespace] = of
		}
		of[name.Name] = struct{}{}
		w.order = append(w.order, name)
	}
	w.notify()
}

// take removes and returns the first ones, at most that many.
func (w *waiting) take(most int) []types.NamespacedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	var taken []types.NamespacedName
	for len(w.order) > 0 && len(taken) < most {
		name := w.order[0]
		w.order = w.order[1:]
		if w.remove(name) {
			taken = append(taken, name)
		}
	}
	if len(w.order) == 0 {
		w.order = nil // what a burst took is given back
	}
	w.notify()
	return taken
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

// remove tells whether the Workflow has waited. The caller holds the lock.
func (w *waiting) remove(name types.NamespacedName) bool {
	of := w.names[name.Namespace]
	if _, waits := of[name.Name]; !waits {
		return false
	}
	delete(of, name.Name)
	if len(of) == 0 {
		delete(w.names, name.Namespace)
	}
	return true
}

// notify wakes the loop where some wait. The caller holds the lock.
func (w *waiting) notify() {
	if len(w.names) > 0 {
		w.signal.Notify()
	}
}
