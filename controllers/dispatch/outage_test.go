package dispatch_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/store"
)

var errRefused = errors.New("connection refused")

// server is an API server that can be away, and that always fails for some tasks.
type server struct {
	isAway atomic.Bool
	poison map[int64]bool
}

func (s *server) create(ctx context.Context, claim store.Claim) error {
	if s.isAway.Load() {
		return errRefused
	}
	if err := wait(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	if s.isAway.Load() || s.poison[claim.ID] {
		return errRefused
	}
	return nil
}

// away takes the server away for so long, and returns when it was back.
func (s *server) away(long time.Duration) (back time.Time) {
	s.isAway.Store(true)
	sleep(long)
	s.isAway.Store(false)
	return time.Now()
}

// failures are those of all tasks but some.
func (q *queue) failures(but map[int64]bool) (failures int32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if !but[r.claim.ID] {
			failures += r.claim.Failures
		}
	}
	return failures
}

// asideIn counts the tasks that are left alone for a while yet.
func (q *queue) asideIn(but map[int64]bool) (tasks int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if r.status == store.StatusPending && r.availableAt.After(time.Now()) && !but[r.claim.ID] {
			tasks++
		}
	}
	return tasks
}

func TestAnOutageCountsAgainstNobodyAndAllGoOnSoonAfterIt(t *testing.T) {
	t.Parallel()
	for sentence, poison := range map[string]map[int64]bool{
		"an outage alone": {}, "an outage and a poison task": {50: true}, "an outage and poison tasks at the head": {1: true, 2: true, 3: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const tasks = 1000
				q := newQueue(tasks)
				api := &server{poison: poison}
				s := newSubmitter(api.create)
				start(t, q, s)
				sleep(500 * time.Millisecond)
				made, calls := s.made(), s.allCalls()
				require.Greater(t, made, 50)
				back := api.away(10 * time.Second)
				require.Less(t, s.allCalls()-calls, 100, "the server is flooded")
				sleep(time.Second)
				require.Greater(t, s.made(), made+50, "they do not go on")
				require.LessOrEqual(t, s.firstCallAfter(back).Sub(back), 400*time.Millisecond)
				require.Zero(t, q.asideIn(poison), "an innocent task is set aside")
				sleep(time.Minute)
				require.Equal(t, tasks-len(poison), q.count(store.StatusSubmitted))
				require.Zero(t, q.failures(poison))
				for id := range poison {
					require.Positive(t, q.read(id).claim.Failures)
				}
			})
		})
	}
}

// firstCallAfter is when the first call after a time came.
func (s *submitter) firstCallAfter(at time.Time) (first time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, calls := range s.calls {
		for _, call := range calls {
			if !call.Before(at) && (first.IsZero() || call.Before(first)) {
				first = call
			}
		}
	}
	return first
}

func TestAServerThatIsAwayForAMomentStopsNobodyForSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		api := &server{}
		s := newSubmitter(api.create)
		api.isAway.Store(true)
		start(t, q, s, func(c *dispatch.Config) { c.Limit = 8 })
		sleep(200 * time.Millisecond)
		api.isAway.Store(false)
		sleep(1500 * time.Millisecond)
		require.Equal(t, 100, s.made())
		require.Zero(t, q.failures(nil), "all had failed, however short")
	})
}

func TestAPoisonTaskWaitsLongerAndLongerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(300)
		poison := map[int64]bool{7: true}
		api := &server{poison: poison}
		s := newSubmitter(api.create)
		d := start(t, q, s)
		sleep(time.Second)
		for range 1000 {
			sleep(300 * time.Millisecond)
			require.Contains(t, q.read(7).completion.Message, "attempt ")
			q.add(1)
			d.Wake()
		}
		sleep(time.Second)
		require.Equal(t, 1299, q.count(store.StatusSubmitted))
		require.Zero(t, q.failures(poison))
		require.Greater(t, q.read(7).claim.Failures, int32(6))
		require.Less(t, len(s.callsOf(7)), 20, "it waits longer each time")
	})
}

func TestTasksThatFailWhileNobodyElseIsTriedKeepNoNewOneWaitingForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		api := &server{poison: map[int64]bool{1: true}}
		s := newSubmitter(api.create)
		d := start(t, q, s)
		sleep(time.Minute)
		require.Less(t, s.allCalls(), 250, "one try each 400 ms at most")
		q.add(1)
		d.Wake()
		sleep(2 * time.Second)
		require.Equal(t, store.StatusSubmitted, q.read(2).status)
	})
}

func TestTooManyRequestsAreNoFailureOfTheTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(20)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.Attempt < 4 && claim.ID%2 == 0 {
				return apierrors.NewTooManyRequests("slow down", 1)
			}
			return nil
		})
		start(t, q, s)
		sleep(5 * time.Second)
		require.Equal(t, 20, q.count(store.StatusSubmitted))
		require.Zero(t, q.failures(nil))
	})
}

func TestShutdownGivesBackWhatIsNotJudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(5)
		api := &server{}
		api.isAway.Store(true)
		d := start(t, q, newSubmitter(api.create))
		sleep(10 * time.Millisecond)
		require.Positive(t, q.count(store.StatusSubmitting))
		d.stop(t)
		require.Equal(t, 5, q.count(store.StatusPending))
		require.Zero(t, q.failures(nil))
	})
}

// What failed waits for its next try, or was cancelled: nothing is there to be tried.
func TestAnEmptyQueueIsNotAskedAllTheTimeInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		api := &server{}
		api.isAway.Store(true)
		start(t, q, newSubmitter(api.create))
		sleep(10 * time.Second)
		q.mu.Lock()
		defer q.mu.Unlock()
		require.Less(t, q.claims, 100)
	})
}

// One task is tried at a time then, but the gate opens for a whole claim.
func TestAnOutageDoesNotOpenTheBacklogGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		api := &server{}
		var moves atomic.Int32
		d := start(t, q, newSubmitter(api.create), func(c *dispatch.Config) { c.MaxActive, c.Held = 50, func() { moves.Add(1) } })
		sleep(5 * time.Second)
		require.Equal(t, 50, q.count(store.StatusSubmitted))
		api.isAway.Store(true)
		q.mu.Lock()
		q.rows[99].claim.StopReason = v1alpha1.ReasonCancelled
		q.mu.Unlock()
		d.Wake()
		sleep(3 * time.Second)
		q.succeed(1)
		q.succeed(2)
		sleep(3 * time.Second)
		require.EqualValues(t, 1, moves.Load(), "it flutters with each Workflow that ends")
	})
}
