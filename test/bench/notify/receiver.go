package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/notify"
)

// readTimeout bounds the reading of one request's header.
const readTimeout = 10 * time.Second

// receiver is a webhook that is down at times.
type receiver struct {
	url    string
	server *http.Server
	served chan error

	mu        sync.Mutex
	downUntil time.Time
	messages  map[string]told // by the id that all versions of a message have
	// posts are those that were taken, refused the others, and doubled those that were taken
	// before, under whatever key.
	posts, refused, doubled int
}

// told is what the versions of a message that were taken have told.
type told struct {
	// keys are those of the deliveries.
	keys map[string]bool
	// events is how many the newest tells.
	events int
}

// tally is what became of the events.
type tally struct {
	Events    int `json:"events"`    // written
	Delivered int `json:"delivered"` // that the receiver was told
	Lost      int `json:"lost"`
	// Doubled are posts that the receiver had taken before, under the same key or another one,
	// and events that it was told twice.
	Doubled int `json:"doubled"`
	// Posts are requests that the receiver took, and Refused those while it was down.
	Posts   int `json:"posts"`
	Refused int `json:"refused"`
}

// listen starts a receiver.
func listen(ctx context.Context) (*receiver, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), served: make(chan error, 1), messages: map[string]told{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: readTimeout}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) close() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// refuseUntil has the receiver refuse everything until a time.
func (r *receiver) refuseUntil(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downUntil = at
}

// taken is how many posts it has taken so far.
func (r *receiver) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.posts
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var message notify.Message
	if err := json.NewDecoder(request.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(r.take(request.Header.Get("Webhook-Id"), message, time.Now()))
}

// take notes a post, and returns how it is answered.
func (r *receiver) take(key string, message notify.Message, now time.Time) (status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.downUntil) {
		r.refused++
		return http.StatusServiceUnavailable
	}
	r.posts++
	before, events := r.messages[message.ID], eventsOf(message)
	if before.keys[key] || events <= before.events { // what tells nothing new is the same again
		r.doubled++
	}
	if before.keys == nil {
		before.keys = map[string]bool{}
	}
	before.keys[key] = true
	r.messages[message.ID] = told{keys: before.keys, events: max(events, before.events)}
	return http.StatusNoContent
}

// eventsOf is how many events a message tells: of several each is a detail, or left out.
func eventsOf(message notify.Message) int { return max(len(message.Details)+message.Omitted, 1) }

// tally compares what the receiver was told with what was written, and with what the rows say.
func (r *receiver) tally(written int, rows recorded) tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := tally{Events: written, Doubled: r.doubled, Posts: r.posts, Refused: r.refused}
	for id, message := range r.messages {
		if !rows.ids[id] { // there was a row, and the receiver knows it by another id
			t.Doubled += len(message.keys)
			continue
		}
		t.Delivered += message.events
	}
	t.Lost = max(written-min(t.Delivered, rows.events), 0)
	t.Doubled += max(t.Delivered-written, 0)
	return t
}
