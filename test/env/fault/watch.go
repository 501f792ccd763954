package fault

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// Event is one event of a watch.
type Event struct {
	// Type is ADDED, MODIFIED or DELETED.
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// Name is that of the event's object.
func (e Event) Name() string { return nameIn(e.Object) }

// Disturbance returns what takes the place of an event: nothing drops it. It may
// hold it up, until its context ends. It is called for the events of one watch in
// order, and of several watches at once.
type Disturbance func(context.Context, Event) []Event

// Drop loses this share of the events.
func Drop(share float64) Disturbance {
	return func(_ context.Context, event Event) []Event {
		if rand.Float64() < share {
			return nil
		}
		return []Event{event}
	}
}

// Repeat sends this share of the events twice.
func Repeat(share float64) Disturbance {
	return func(_ context.Context, event Event) []Event {
		if rand.Float64() < share {
			return []Event{event, event}
		}
		return []Event{event}
	}
}

// Reorder sends this share of the events after the one that follows them, whenever
// that comes.
func Reorder(share float64) Disturbance {
	var mu sync.Mutex
	var late []Event
	return func(_ context.Context, event Event) []Event {
		mu.Lock()
		defer mu.Unlock()
		if len(late) == 0 && rand.Float64() < share {
			late = []Event{event}
			return nil
		}
		events := append([]Event{event}, late...)
		late = nil
		return events
	}
}

// Held holds all events up while the gate is shut.
func Held(gate *Gate) Disturbance {
	return func(ctx context.Context, event Event) []Event {
		if err := gate.Pass(ctx); err != nil {
			return nil
		}
		return []Event{event}
	}
}

// disturbEvents puts the disturbance of a watch's resource between the server's
// stream of events and the client's.
func (s *APIServer) disturbEvents(response *http.Response) error {
	request := requestOf(response.Request, nil)
	if !request.IsWatch() || response.StatusCode != http.StatusOK {
		return nil
	}
	from := response.Body
	reader, writer := io.Pipe()
	response.Body = stream{reader, from}
	go func() {
		writer.CloseWithError(s.carryEvents(response.Request.Context(), request.Resource, from, writer))
	}()
	return nil
}

// stream ends both halves of a watch.
type stream struct {
	*io.PipeReader
	server io.Closer
}

// Close implements io.Closer.
func (s stream) Close() error {
	_ = s.PipeReader.Close()
	return s.server.Close()
}

func (s *APIServer) carryEvents(ctx context.Context, resource string, from io.Reader, to io.Writer) error {
	decoder, encoder := json.NewDecoder(from), json.NewEncoder(to)
	for {
		var event Event
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		for _, one := range s.disturbed(ctx, resource, event) {
			if err := encoder.Encode(one); err != nil {
				return err
			}
		}
	}
}

// disturbed leaves bookmarks and errors alone.
func (s *APIServer) disturbed(ctx context.Context, resource string, event Event) []Event {
	s.mu.Lock()
	disturbance := s.disturbs[resource]
	s.mu.Unlock()
	if disturbance == nil || (event.Type != "ADDED" && event.Type != "MODIFIED" && event.Type != "DELETED") {
		return []Event{event}
	}
	return disturbance(ctx, event)
}

// onlyJSON has the server send events in the one form that this package reads.
func onlyJSON(header http.Header) {
	var accepted []string
	for _, media := range strings.Split(strings.Join(header.Values("Accept"), ","), ",") {
		if media = strings.TrimSpace(media); strings.HasPrefix(media, "application/json") {
			accepted = append(accepted, media)
		}
	}
	if len(accepted) == 0 {
		accepted = []string{"application/json"}
	}
	header.Set("Accept", strings.Join(accepted, ","))
}
