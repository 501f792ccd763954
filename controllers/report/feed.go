package report

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// feedInterval is how often events are looked for that nobody told of, or that were
	// hidden by an older transaction; feedPause is the least time between two looks, and
	// busyPause that after a look which found some: more come soon.
	feedInterval, feedPause, busyPause = time.Second, 100 * time.Millisecond, time.Second
	// feedPage is how many events are read at once.
	feedPage = 1000
)

// Events is the history that a Feed follows.
type Events interface {
	// EventsFromNow returns the cursor behind every event that is visible now.
	EventsFromNow(ctx context.Context) (store.Cursor, error)
	// Events returns up to most events after the cursor, and the cursor after them.
	Events(ctx context.Context, after store.Cursor, most int) ([]store.Event, store.Cursor, error)
}

// Feed follows the events in the tables, and marks the builds and pipelines that they
// belong to. It misses none, whichever replies to commits are lost.
type Feed struct {
	*loop.Loop
	events  Events
	mark    func(builds, pipelines []types.NamespacedName)
	wake    loop.Signal
	cursor  *store.Cursor
	started chan struct{}
}

func newFeed(events Events, mark func(builds, pipelines []types.NamespacedName), log logr.Logger) *Feed {
	f := &Feed{events: events, mark: mark, started: make(chan struct{})}
	f.Loop = loop.New(loop.Config{
		Name: "report", Run: f.runOnce, Signal: &f.wake, Interval: feedInterval, MinInterval: feedPause, Log: log,
	})
	return f
}

// Wake says that there may be events. It never blocks.
func (f *Feed) Wake() { f.wake.Notify() }

// Started is closed once the feed knows where it began: whatever is read of the tables
// from then on, all later changes are told.
func (f *Feed) Started() <-chan struct{} { return f.started }

func (f *Feed) runOnce(ctx context.Context) (time.Duration, error) {
	if f.cursor == nil {
		cursor, err := f.events.EventsFromNow(ctx)
		if err != nil {
			return 0, err
		}
		f.cursor = &cursor
		close(f.started)
	}
	var rest time.Duration
	for {
		events, after, err := f.events.Events(ctx, *f.cursor, feedPage)
		if err != nil {
			return 0, err
		}
		*f.cursor = after
		f.tell(events)
		if len(events) > 0 {
			rest = busyPause
		}
		if len(events) < feedPage {
			return rest, nil
		}
	}
}

func (f *Feed) tell(events []store.Event) {
	if len(events) == 0 {
		return
	}
	var builds, pipelines []types.NamespacedName
	for _, event := range events {
		if event.BuildName != "" {
			builds = append(builds, types.NamespacedName{Namespace: event.Namespace, Name: event.BuildName})
		}
		if event.Pipeline != "" {
			pipelines = append(pipelines, types.NamespacedName{Namespace: event.Namespace, Name: event.Pipeline})
		}
	}
	f.mark(builds, pipelines)
}
