package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/sender"
)

// stream is senders that send one delivery after the other, each again until it is accepted, as
// people do who have their sender deliver again.
type stream struct {
	h       *hooked
	t       *testing.T
	pause   time.Duration
	running sync.WaitGroup
	stops   atomic.Bool
	number  atomic.Int64

	mu sync.Mutex
	// accepted is the number that each delivery was given, by its own ID.
	accepted map[string]string
	// pushes and reports count those that make a build.
	pushes, reports int
	// refused is how often there was no server, and faults are all other ways in which a
	// delivery was not accepted.
	refused int
	faults  []string
}

// streamTo begins to send to an address, with so many senders on connections that they keep: every
// other one over HTTP/2.
func (h *hooked) streamTo(address string, senders int, pause time.Duration, clients ...*http.Client) *stream {
	s := &stream{h: h, t: h.t, pause: pause, accepted: map[string]string{}}
	for n := range senders {
		through := clients[n%len(clients)]
		all := map[v1alpha1.ReceiverType]*sender.Sender{}
		for kind := range h.receivers {
			all[kind] = h.sender(kind, "https://"+address, through)
		}
		random := rand.New(rand.NewPCG(uint64(n), 34))
		s.running.Go(func() { s.send(h.t.Context(), all, random) })
	}
	return s
}

// end returns after what is being sent was accepted.
func (s *stream) end() {
	s.stops.Store(true)
	s.running.Wait()
}

// sent is how many deliveries were accepted so far.
func (s *stream) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

func (s *stream) send(ctx context.Context, senders map[v1alpha1.ReceiverType]*sender.Sender, random *rand.Rand) {
	for !s.stops.Load() && ctx.Err() == nil {
		kind, delivery := s.next(random)
		first := s.until(ctx, senders[kind], delivery)
		s.note(kind, delivery.ID, first)
		if random.IntN(5) == 0 {
			again := delivery
			if kind == v1alpha1.ReceiverGitHub && random.IntN(2) == 0 {
				again.ID += "-again" // the same body under another ID
			}
			if repeated := s.until(ctx, senders[kind], again); repeated.ID != first.ID || !repeated.Duplicate {
				s.fail(fmt.Sprintf("%s was answered as %s, and again as %s", delivery.ID, first.ID, repeated.ID))
			}
		}
		pauseFor(ctx, s.pause)
	}
}

// next is a push in two of three cases.
func (s *stream) next(random *rand.Rand) (v1alpha1.ReceiverType, sender.Delivery) {
	id := fmt.Sprintf("s-%d", s.number.Add(1))
	switch random.IntN(12) {
	case 0, 1:
		return v1alpha1.ReceiverDistribution, sender.Image(id, s.h.images, "base/go", "1")
	case 2, 3:
		return v1alpha1.ReceiverGeneric, sender.Report(id, elsewhere, id, "succeeded")
	default:
		return v1alpha1.ReceiverGitHub, sender.Push(id, fmt.Sprintf("team/app-%d", random.IntN(apps)), id)
	}
}

// until sends a delivery until it is accepted.
func (s *stream) until(ctx context.Context, to *sender.Sender, delivery sender.Delivery) sender.Answer {
	for ctx.Err() == nil {
		answer, err := to.Send(ctx, delivery)
		switch {
		case err == nil && answer.Status == http.StatusAccepted:
			return answer
		case errors.Is(err, syscall.ECONNREFUSED):
			s.mu.Lock()
			s.refused++
			s.mu.Unlock()
		default:
			s.fail(fmt.Sprintf("%s: %d %v", delivery.ID, answer.Status, err))
		}
		pauseFor(ctx, 50*time.Millisecond)
	}
	return sender.Answer{}
}

func (s *stream) note(kind v1alpha1.ReceiverType, id string, answer sender.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[id] = answer.ID
	switch kind {
	case v1alpha1.ReceiverGitHub:
		s.pushes++
	case v1alpha1.ReceiverGeneric:
		s.reports++
	}
}

func (s *stream) fail(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, what)
}

// keptOnce requires a row of each delivery that was accepted, of the number that its sender was
// told, and no other.
func (s *stream) keptOnce() {
	s.t.Helper()
	rows, err := s.h.Database.Query(s.t.Context(), "SELECT delivery_id, id::text FROM webhook_delivery")
	require.NoError(s.t, err)
	defer rows.Close()
	kept := map[string]string{}
	for rows.Next() {
		var id, number string
		require.NoError(s.t, rows.Scan(&id, &number))
		require.NotContains(s.t, kept, id, "it was kept twice")
		kept[id] = number
	}
	require.NoError(s.t, rows.Err())
	require.True(s.t, maps.Equal(s.accepted, kept), "accepted %v\nkept %v", s.accepted, kept)
}

func pauseFor(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
