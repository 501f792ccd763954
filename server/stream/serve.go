package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
)

// Filter tells whether a client sees an event.
type Filter func(view.Event) bool

// Watch is what one client asks for.
type Watch struct {
	// User is who asks.
	User string
	// After is where the stream begins; nil means now.
	After *view.Position
	// Filter is asked for before the first event and then every Recheck: it looks at the
	// user's rights again. An error ends the stream.
	Filter func(ctx context.Context) (Filter, error)
}

// errStopped ends a stream because the server stops.
var errStopped = errors.New("the server stops: connect again")

// Enter books a stream. leave must be called when it has ended; it is nil where the error
// is not.
func (h *Hub) Enter(watch Watch) (leave func(), err error) {
	if err := h.enter(watch.User); err != nil {
		return nil, err
	}
	return func() { h.leave(watch.User) }, nil
}

// Serve writes events to a client until it goes, the server stops, or its rights end, and then
// calls leave. The stream must have been entered. Within Outermost it returns before that.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, watch Watch, leave func()) {
	s := &session{Hub: h, ctx: r.Context(), w: w, control: http.NewResponseController(w), watch: watch}
	handOver(r.Context(), func() {
		defer leave()
		if err := s.run(); s.ctx.Err() == nil {
			s.end(err)
		}
	})
}

// session is one stream.
type session struct {
	*Hub

	ctx     context.Context //nolint:containedctx // lives as long as the one request
	w       http.ResponseWriter
	control *http.ResponseController
	watch   Watch
	filter  Filter
	// after is the last position whose events were sent or passed over.
	after view.Position
}

// run returns why the stream ends, which is never nil.
func (s *session) run() error {
	filter, err := s.watch.Filter(s.ctx)
	if err != nil {
		return err
	}
	s.filter = filter
	begin(s.w, s.control)
	for first := true; ; first = false {
		if err := s.follow(first); err != nil {
			return err
		}
	}
}

// follow sends what the client has missed, and then what comes, until its queue was full.
func (s *session) follow(first bool) error {
	client, from, err := s.subscribe()
	if err != nil {
		return err
	}
	defer s.unsubscribe(client)
	if first {
		s.after = from
		if s.watch.After != nil {
			s.after = *s.watch.After
		}
		if err := s.write(func(w io.Writer) {
			fmt.Fprintf(w, "retry: 2000\nid: %s\n: events follow\n\n", s.config.Cursor(s.after))
		}); err != nil {
			return err
		}
	}
	if before(s.after, from) {
		if err := s.catchUp(from); err != nil {
			return err
		}
	}
	return s.listen(client)
}

// catchUp reads from the table up to a position.
func (s *session) catchUp(until view.Position) error {
	for before(s.after, until) {
		events, err := s.read()
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil
		}
		if err := s.send(messages(events)); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) read() ([]view.Event, error) {
	if err := s.catchUps.Acquire(s.ctx, 1); err != nil {
		return nil, err
	}
	defer s.catchUps.Release(1)
	return s.config.Source.EventsAfter(s.ctx, s.after, s.config.Batch)
}

func (s *session) listen(client *client) error {
	// Streams that began together are not written to together.
	beat := time.NewTicker(s.config.Heartbeat - rand.N(s.config.Heartbeat/4))
	defer beat.Stop()
	recheck := time.NewTicker(s.config.Recheck)
	defer recheck.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-s.stopping:
			return errStopped
		case <-client.lost:
			return nil
		case batch := <-client.batches:
			if err := s.send(batch); err != nil {
				return err
			}
		case <-beat.C:
			if err := s.write(func(w io.Writer) { fmt.Fprintf(w, "id: %s\n: heartbeat\n\n", s.config.Cursor(s.after)) }); err != nil {
				return err
			}
		case <-recheck.C:
			filter, err := s.watch.Filter(s.ctx)
			if err != nil {
				return err
			}
			s.filter = filter
		}
	}
}

// send writes those events of a batch that the client sees.
func (s *session) send(batch []*message) error {
	var seen []*message
	for _, one := range batch {
		if before(s.after, one.Position) && s.filter(one.Event) {
			seen = append(seen, one)
		}
	}
	if last := batch[len(batch)-1].Position; before(s.after, last) {
		s.after = last
	}
	if len(seen) == 0 {
		return nil
	}
	return s.write(func(w io.Writer) {
		for _, one := range seen {
			fmt.Fprintf(w, "id: %s\nevent: event\ndata: %s\n\n", s.config.Cursor(one.Position), one.json())
		}
	})
}

// write writes and flushes within the timeout. The deadline is taken back: over HTTP/2 it would
// end a stream that has nothing to say.
func (s *session) write(to func(io.Writer)) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	to(s.w)
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("write to client: %w", err)
	}
	return nil
}

// end tells the client why the stream ends.
func (s *session) end(err error) {
	text := problemOf(err)
	_ = s.write(func(w io.Writer) { fmt.Fprintf(w, "event: problem\ndata: %s\n\n", text) })
}

func problemOf(err error) []byte {
	status, detail := problem.Status(err), problem.Detail(err)
	if errors.Is(err, errStopped) || errors.Is(err, ErrNotReady) {
		status, detail = http.StatusServiceUnavailable, err.Error()
	}
	text, _ := json.Marshal(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
	return text
}
