package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
	"github.com/penstock-cd/penstock/test/sender"
)

const (
	// pause is for how long a sender waits that was refused.
	pause = 250 * time.Millisecond
	// maxRefusals bounds how often one delivery is.
	maxRefusals = 400
)

// span is from one time to another.
type span struct{ began, ended time.Time }

func (s span) length() time.Duration { return s.ended.Sub(s.began) }

func (s span) overlaps(other span) bool {
	return s.began.Before(other.ended) && other.began.Before(s.ended)
}

// sent is what came of the requests.
type sent struct {
	mu                sync.Mutex
	requests          []span
	accepted, refused int
	// numbers are those that each delivery was accepted under, by its own ID.
	numbers map[string]map[string]bool
	// all is from the first request to the last answer, and down is while Postgres was away.
	all, down span
}

func (s *subject) sender(through *http.Client) *sender.Sender {
	return &sender.Sender{Type: v1alpha1.ReceiverGitHub, URL: s.url, Token: token, Client: through}
}

// send sends everything, and restarts Postgres when half of it was accepted.
func (s *subject) send(ctx context.Context, sends []sender.Delivery) (*sent, error) {
	came := &sent{numbers: map[string]map[string]bool{}}
	next := make(chan sender.Delivery)
	group, ctx := errgroup.WithContext(ctx)
	came.all.began = time.Now()
	for range connections {
		group.Go(func() error { return s.sendFrom(ctx, next, came) })
	}
	group.Go(func() error {
		defer close(next)
		for n, delivery := range sends {
			if n == len(sends)/2 {
				group.Go(func() (err error) {
					came.down, err = s.restartPostgres(ctx)
					return err
				})
			}
			select {
			case next <- delivery:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := group.Wait()
	came.all.ended = time.Now()
	return came, err
}

func (s *subject) restartPostgres(ctx context.Context) (down span, err error) {
	down.began = time.Now()
	err = errors.Join(s.Postgres.Stop(env.Immediate), s.Postgres.Restart(ctx))
	down.ended = time.Now()
	return down, err
}

// sendFrom sends over one connection, each delivery until it is accepted.
func (s *subject) sendFrom(ctx context.Context, next <-chan sender.Delivery, came *sent) error {
	through := sender.NewClient(s.server.Roots(), false, 1)
	defer through.CloseIdleConnections()
	to := s.sender(through)
	for delivery := range next {
		for refusals := 0; ; refusals++ {
			began := time.Now()
			answer, err := to.Send(ctx, delivery)
			if came.note(span{began, time.Now()}, delivery.ID, answer) {
				break
			}
			if refusals == maxRefusals || ctx.Err() != nil {
				return fmt.Errorf("delivery %s is refused with %d: %w", delivery.ID, answer.Status, errors.Join(err, ctx.Err()))
			}
			<-time.After(pause)
		}
	}
	return nil
}

// note tells whether the delivery was accepted.
func (c *sent) note(request span, id string, answer sender.Answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, request)
	if answer.Status != http.StatusAccepted {
		c.refused++
		return false
	}
	c.accepted++
	if c.numbers[id] == nil {
		c.numbers[id] = map[string]bool{}
	}
	c.numbers[id][answer.ID] = true
	return true
}

// result is of the time while Postgres was up.
func (c *sent) result() *Result {
	var took []time.Duration
	for _, request := range c.requests {
		if !request.overlaps(c.down) {
			took = append(took, request.length())
		}
	}
	up := c.all.length() - c.down.length()
	return &Result{
		AcceptedPerSecond: float64(c.accepted) / up.Seconds(),
		P50:               measure.Milliseconds(measure.Percentile(took, 50)), P99: measure.Milliseconds(measure.Percentile(took, 99)),
	}
}
