package report

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// history is events in memory. What was read is behind the cursor.
type history struct {
	mu     sync.Mutex
	events []store.Event
	reads  int
	err    error
}

func (h *history) EventsFromNow(context.Context) (store.Cursor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.events = nil
	}
	return store.Cursor{}, h.err
}

func (h *history) Events(_ context.Context, after store.Cursor, most int) ([]store.Event, store.Cursor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, store.Cursor{}, h.err
	}
	h.reads++
	page := h.events[:min(most, len(h.events))]
	h.events = h.events[len(page):]
	return page, after, nil
}

// read is how often events were read.
func (h *history) read() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads
}

func (h *history) add(events ...store.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, events...)
}

func (h *history) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// feeding is a feed and what it has marked.
type feeding struct {
	*Feed
	history           *history
	builds, pipelines []string
}

func newFeeding() *feeding {
	f := &feeding{history: &history{}}
	f.Feed = newFeed(f.history, func(builds, pipelines []types.NamespacedName) {
		for _, key := range builds {
			f.builds = append(f.builds, key.String())
		}
		for _, key := range pipelines {
			f.pipelines = append(f.pipelines, key.String())
		}
	}, logr.Discard())
	return f
}

// run starts it, does what is given, and returns when it has ended.
func (f *feeding) run(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	do()
	cancel()
	require.NoError(t, <-ended)
}

func TestAFeedMarksWhatEachEventBelongsTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeeding()
		f.history.add(store.Event{Namespace: given.Namespace, BuildName: "old", Pipeline: "old"})
		f.run(t, func() {
			time.Sleep(time.Second)
			f.history.add(
				store.Event{Namespace: "a", BuildName: "b1", Pipeline: "web"},
				store.Event{Namespace: "b", BuildName: "b2"}, store.Event{Namespace: "c", Pipeline: "api"}, store.Event{Namespace: "d"},
			)
			time.Sleep(feedInterval + time.Millisecond)
			synctest.Wait()
		})
		require.Equal(t, []string{"a/b1", "b/b2"}, f.builds, "what was there before its start is read by whoever starts")
		require.Equal(t, []string{"a/web", "c/api"}, f.pipelines)
	})
}

func TestAFeedThatIsWokenReadsSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeeding()
		f.run(t, func() {
			time.Sleep(10*feedInterval + feedInterval/2)
			f.history.add(store.Event{Namespace: "a", BuildName: "b1"})
			f.Wake()
			synctest.Wait()
			require.Equal(t, []string{"a/b1"}, f.builds)
			before := f.history.read()
			for range 1000 {
				f.Wake()
				time.Sleep(time.Millisecond)
			}
			require.LessOrEqual(t, f.history.read()-before, 12, "one read for many wakes")
		})
	})
}

func TestAFeedReadsEveryPageAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeeding()
		f.run(t, func() {
			synctest.Wait()
			for n := range 3*feedPage + 1 {
				f.history.add(store.Event{Namespace: "a", BuildName: fmt.Sprint(n)})
			}
			f.Wake()
			time.Sleep(feedPause + time.Millisecond)
			synctest.Wait()
		})
		require.Len(t, f.builds, 3*feedPage+1)
	})
}

func TestAFeedMissesNothingThatItCouldNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFeeding()
		f.history.fail(errors.New("database is down"))
		f.run(t, func() {
			time.Sleep(10 * time.Second)
			select {
			case <-f.Started():
				t.Error("the feed knows nothing yet")
			default:
			}
			f.history.fail(nil)
			time.Sleep(10 * time.Second)
			<-f.Started()
			f.history.fail(errors.New("database is down"))
			f.history.add(store.Event{Namespace: "a", BuildName: "b1"})
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Empty(t, f.builds)
			f.history.fail(nil)
			time.Sleep(10 * time.Second)
			synctest.Wait()
		})
		require.Equal(t, []string{"a/b1"}, f.builds)
	})
}
