package hooks

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/penstock-cd/penstock/pkg/store"
)

// receivers are all that exist, as they were a moment ago. All are read together, so that paths
// that nobody has cost the database nothing.
type receivers struct {
	load    func(context.Context) (map[string]store.Receiver, error)
	loading singleflight.Group

	mu   sync.Mutex
	all  map[string]store.Receiver
	read time.Time
}

func newReceivers(load func(context.Context) (map[string]store.Receiver, error)) *receivers {
	return &receivers{load: load}
}

// at returns the Receiver at a path. It fails where the database does not answer, and the list
// is too old to tell.
func (l *receivers) at(ctx context.Context, path string) (receiver store.Receiver, found bool, err error) {
	all, fresh := l.known()
	if !fresh {
		// One reading is for all who wait for it, whoever of them goes away.
		loaded, err, _ := l.loading.Do("", func() (any, error) { return l.refresh(context.WithoutCancel(ctx)) })
		if err != nil {
			return store.Receiver{}, false, err
		}
		all = loaded.(map[string]store.Receiver)
	}
	receiver, found = all[path]
	return receiver, found, nil
}

func (l *receivers) known() (all map[string]store.Receiver, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, time.Since(l.read) < receiversAge
}

func (l *receivers) refresh(ctx context.Context) (map[string]store.Receiver, error) {
	if all, fresh := l.known(); fresh { // somebody else was quicker
		return all, nil
	}
	began := time.Now()
	all, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.read = all, began
	return all, nil
}
