package release

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// waiting holds the Workflows that wait to be released, by namespace. It is safe for
// concurrent use.
type waiting struct {
	mu    sync.Mutex
	names map[string]map[string]time.Time // since when each waits
}

func newWaiting() *waiting { return &waiting{names: map[string]map[string]time.Time{}} }

func (w *waiting) add(name types.NamespacedName, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.names[name.Namespace] == nil {
		w.names[name.Namespace] = map[string]time.Time{}
	}
	if w.names[name.Namespace][name.Name].IsZero() {
		w.names[name.Namespace][name.Name] = now
	}
}

func (w *waiting) remove(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.names[name.Namespace], name.Name)
	if len(w.names[name.Namespace]) == 0 {
		delete(w.names, name.Namespace)
	}
}

// oldest is since when the one of them waits that waits longest; zero where none does.
func (w *waiting) oldest(names []types.NamespacedName) (oldest time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		since := w.names[name.Namespace][name.Name]
		if !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return oldest
}

// take removes and returns those of a namespace.
func (w *waiting) take(namespace string) []types.NamespacedName {
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
