package batch_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/batch"
)

// attempt is one call of Flush.
type attempt struct {
	after time.Duration // since the test began
	items []int
}

// sink is where a committer under test flushes to.
type sink struct {
	takes time.Duration             // how long a flush takes
	fails func(attempt []int) error // nil: never
	begin time.Time

	mu       sync.Mutex
	attempts []attempt
	kept     []int
}

func (s *sink) flush(ctx context.Context, items []int) error {
	s.mu.Lock()
	s.attempts = append(s.attempts, attempt{time.Since(s.begin), items})
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.fails != nil {
		if err := s.fails(items); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, items...)
	return nil
}

// running is a committer whose Run has begun.
type running struct {
	*batch.Committer[int]
	*sink
	stop context.CancelFunc
	done chan error
}

// inBubble runs a test on a running committer; the test must stop it.
func inBubble(t *testing.T, s *sink, config batch.Config[int], test func(*testing.T, *running)) {
	t.Helper()
	inBubbleWith(t, s, config, batch.New[int], test)
}

func inBubbleWith(
	t *testing.T, s *sink, config batch.Config[int],
	build func(batch.Config[int]) *batch.Committer[int], test func(*testing.T, *running),
) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if config.Flush == nil {
			config.Flush = s.flush
		}
		s.begin = time.Now()
		ctx, stop := context.WithCancel(t.Context())
		r := &running{Committer: build(config), sink: s, stop: stop, done: make(chan error, 1)}
		go func() { r.done <- r.Run(ctx) }()
		synctest.Wait()
		test(t, r)
	})
}

func (r *running) add(t *testing.T, items ...int) {
	t.Helper()
	for _, item := range items {
		require.NoError(t, r.Add(item))
	}
}

// end stops the committer and returns what Run returned.
func (r *running) end() error {
	r.stop()
	return <-r.done
}

// tried returns the flushes so far, and stored what they committed, once everything that could happen now has.
func (r *running) tried() []attempt {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.attempts)
}

func (r *running) stored() []int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.kept)
}

func upTo(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}
