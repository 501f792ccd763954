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
	for _, age := range []time.Duration{receiversAge, unknownAge} {
		all, err := l.notOlder(ctx, age)
		if err != nil {
			return store.Receiver{}, false, err
		}
		if receiver, found = all[path]; found {
			break
		}
	}
	return receiver, found, nil
}

// notOlder returns the list, read again where it is older than that. One reading is for all who
// wait for it, whoever of them goes away.
func (l *receivers) notOlder(ctx context.Context, age time.Duration) (map[string]store.Receiver, error) {
	if all, is := l.known(); is < age {
		return all, nil
	}
	loaded, err, _ := l.loading.Do("", func() (any, error) { return l.refresh(context.WithoutCancel(ctx), age) })
	if err != nil {
		return nil, err
	}
	return loaded.(map[string]store.Receiver), nil
}

func (l *receivers) known() (all map[string]store.Receiver, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, time.Since(l.read)
}

func (l *receivers) refresh(ctx context.Context, age time.Duration) (map[string]store.Receiver, error) {
	if all, is := l.known(); is < age { // somebody else was quicker
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
