// Package stream sends events to clients as they happen. One hub follows the event table
// for all clients of the process, and each client has a bounded queue: one that does not
// keep up reads what it missed from the table, and holds up nobody.
package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/view"
)

// Errors of a stream that can't begin.
var (
	// ErrNotReady means that the hub has not found the end of the events yet.
	ErrNotReady = errors.New("the server does not follow the events yet")
	// ErrTooMany means that the process has as many streams as it may.
	ErrTooMany = errors.New("the server has as many open streams as it may have")
	// ErrTooManyOfUser means that the user has as many streams as they may.
	ErrTooManyOfUser = errors.New("you have as many open streams as you may have")
)

// Source is where events come from.
type Source interface {
	// Horizon is behind every event that is visible.
	Horizon(ctx context.Context) (view.Position, error)
	// EventsAfter returns up to limit events after a position, in an order in which none
	// is missed.
	EventsAfter(ctx context.Context, after view.Position, limit int) ([]view.Event, error)
}

// Config of a Hub. Every field but Log is required.
type Config struct {
	Source Source
	// Interval is how often the table is asked for news.
	Interval time.Duration
	// Batch is how many events are read at once, Buffer how many batches wait for a slow
	// client.
	Batch, Buffer int
	// CatchUps is how many clients read what they missed at the same time.
	CatchUps int64
	// Heartbeat is how often a quiet stream is written to, Recheck how often the rights
	// of its user are looked at again.
	Heartbeat, Recheck time.Duration
	// WriteTimeout bounds each write to a client.
	WriteTimeout time.Duration
	// Max is how many streams may be open, MaxPerUser how many of one user.
	Max, MaxPerUser int
	// Cursor is the text of a position, which is the id of a message.
	Cursor func(view.Position) string
	// OnStream is told how many streams are open. It must not block.
	OnStream func(open int)
	Log      logr.Logger
}

// Hub follows the events and hands them to its clients.
type Hub struct {
	config   Config
	loop     *loop.Loop
	catchUps *semaphore.Weighted
	stopping chan struct{}

	mu       sync.Mutex
	position *view.Position // nil until it is known
	clients  map[*client]bool
	open     int
	ofUser   map[string]int
}

// client is one stream's queue. lost is closed when the queue was full: the client is no
// longer told.
type client struct {
	batches chan []*message
	lost    chan struct{}
}

// New returns a hub that follows nothing until it is started.
func New(config Config) *Hub {
	h := &Hub{
		config: config, catchUps: semaphore.NewWeighted(config.CatchUps), stopping: make(chan struct{}),
		clients: map[*client]bool{}, ofUser: map[string]int{},
	}
	h.loop = loop.New(loop.Config{
		Name: "stream", Run: h.follow, Interval: config.Interval, Retry: time.Second, EveryReplica: true, Log: config.Log,
	})
	return h
}

// Start follows the events until ctx ends. Then every stream ends. It may be called once.
func (h *Hub) Start(ctx context.Context) error {
	err := h.loop.Start(ctx)
	if !errors.Is(err, loop.ErrStarted) {
		close(h.stopping)
	}
	return err
}

// follow hands on what is new.
func (h *Hub) follow(ctx context.Context) (time.Duration, error) {
	h.mu.Lock()
	position := h.position
	h.mu.Unlock()
	if position == nil {
		horizon, err := h.config.Source.Horizon(ctx)
		if err != nil {
			return 0, err
		}
		h.handOn(nil, horizon)
		return 0, nil
	}
	for after := *position; ; {
		events, err := h.config.Source.EventsAfter(ctx, after, h.config.Batch)
		if err != nil {
			return 0, err
		}
		if len(events) == 0 {
			return 0, nil
		}
		after = events[len(events)-1].Position
		h.handOn(messages(events), after)
		if len(events) < h.config.Batch {
			return 0, nil
		}
	}
}

// handOn gives a batch to every client that has room for it. The others are told that they
// missed something.
func (h *Hub) handOn(batch []*message, position view.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.position = &position
	if len(batch) == 0 {
		return
	}
	for one := range h.clients {
		select {
		case one.batches <- batch:
		default:
			delete(h.clients, one)
			close(one.lost)
		}
	}
}

// subscribe returns a client that is given every batch from a position on.
func (h *Hub) subscribe() (*client, view.Position, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.position == nil {
		return nil, view.Position{}, ErrNotReady
	}
	one := &client{batches: make(chan []*message, h.config.Buffer), lost: make(chan struct{})}
	h.clients[one] = true
	return one, *h.position, nil
}

func (h *Hub) unsubscribe(one *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, one)
}

// enter books a stream of a user, until leave.
func (h *Hub) enter(user string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.position == nil {
		return ErrNotReady
	}
	if h.open >= h.config.Max {
		return ErrTooMany
	}
	if h.ofUser[user] >= h.config.MaxPerUser {
		return ErrTooManyOfUser
	}
	h.open++
	h.ofUser[user]++
	h.config.OnStream(h.open)
	return nil
}

func (h *Hub) leave(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if h.ofUser[user]--; h.ofUser[user] == 0 {
		delete(h.ofUser, user)
	}
	h.config.OnStream(h.open)
}
