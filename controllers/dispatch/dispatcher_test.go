package dispatch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// sleep lets the bubble's clock run and what happens meanwhile settle.
func sleep(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}

func TestNeverMoreThanTheLimitIsInFlight(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{-1, 1, 5, 20} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(500)
			s := newSubmitter(func(ctx context.Context, claim store.Claim) error {
				return wait(ctx, time.Duration(claim.ID*7919%50+1)*time.Millisecond)
			})
			start(t, q, s, func(c *dispatch.Config) { c.Limit = limit })
			sleep(time.Minute)
			require.Equal(t, 500, q.count(store.StatusSubmitted))
			require.Equal(t, max(limit, 1), s.peak)
			require.Greater(t, q.claimed(), 5, "one claim proves nothing")
		})
	}
}

func TestAStragglerDoesNotKeepOthersFromTheFreeSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(200)
		s := newSubmitter(func(ctx context.Context, claim store.Claim) error {
			if claim.ID == 1 {
				return wait(ctx, 10*time.Second)
			}
			return wait(ctx, 10*time.Millisecond)
		})
		start(t, q, s, func(c *dispatch.Config) { c.Limit = 2 })
		sleep(2 * time.Second)
		require.Equal(t, 199, s.made(), "the other slot makes 100 each second")
		for id := int64(3); id <= 200; id++ {
			gap := s.callsOf(id)[0].Sub(s.callsOf(id - 1)[0])
			require.Equal(t, 10*time.Millisecond, gap, "the slot was free before row %d began", id)
		}
		sleep(10 * time.Second)
		require.Equal(t, 200, q.count(store.StatusSubmitted))
	})
}

func TestAPanicEndsOnlyItsRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.ID == 4 {
				panic("no such stage")
			}
			return nil
		})
		start(t, q, s)
		sleep(5 * time.Second)
		require.Equal(t, 9, q.count(store.StatusSubmitted))
		require.Equal(t, store.Completion{
			ID: 4, Attempt: 1, Status: store.StatusError, Reason: v1alpha1.ReasonBuilderPanicked,
			Message: "building or submitting the Workflow panicked: no such stage",
		}, q.read(4).completion)
	})
}

func TestARefusalEndsItsRowAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		refusal := &argo.Refusal{Status: store.StatusCancelled, Reason: v1alpha1.ReasonPipelineDeleted, Message: "gone"}
		s := newSubmitter(func(context.Context, store.Claim) error { return refusal })
		start(t, q, s)
		sleep(10 * time.Minute)
		require.Len(t, s.callsOf(1), 1)
		require.Equal(t, store.StatusCancelled, q.read(1).status)
		require.Equal(t, v1alpha1.ReasonPipelineDeleted, q.read(1).completion.Reason)
	})
}

func TestAFailureThatMayPassIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.Attempt < 6 {
				return noKind
			}
			return nil
		})
		start(t, q, s)
		sleep(100 * time.Millisecond)
		require.Equal(t, store.StatusPending, q.read(1).status)
		require.Equal(t, v1alpha1.ReasonSubmissionDelayed, q.read(1).completion.Reason)
		require.Equal(t, "attempt 1: "+noKind.Error(), q.read(1).completion.Message)
		sleep(5 * time.Minute)
		require.Equal(t, store.StatusSubmitted, q.read(1).status)
		calls := s.callsOf(1)
		require.Len(t, calls, 6)
		for i, least := 1, 250*time.Millisecond; i < len(calls); i, least = i+1, 2*least {
			require.GreaterOrEqual(t, calls[i].Sub(calls[i-1]), least, "before attempt %d", i+1)
		}
	})
}

func TestWhatWasMadeReachesItsTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.ID == 2 {
				return errors.New("too many requests")
			}
			return nil
		})
		start(t, q, s)
		sleep(5 * time.Second)
		require.Equal(t, store.Completion{
			ID: 3, Attempt: 1, Status: store.StatusSubmitted, WorkflowUID: "uid-of-workflow-3",
		}, q.read(3).completion)
		failed := q.read(2).completion
		require.Empty(t, failed.WorkflowUID, "nothing was made")
	})
}

// A dispatcher that is stopped again and again, as while a node is drained, gives tasks
// back that have not failed.
func TestATaskThatWasOnlyGivenBackDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		s := newSubmitter(func(ctx context.Context, claim store.Claim) error {
			if claim.ID == 1 {
				time.Sleep(time.Second) // it holds the slot, so that the other is given back
			}
			return noKind
		})
		for range 10 {
			q.mu.Lock()
			q.rows[0].availableAt = time.Time{}
			q.mu.Unlock()
			d := start(t, q, s, func(c *dispatch.Config) { c.Limit = 1 })
			sleep(100 * time.Millisecond)
			d.stop(t)
		}
		given := q.read(2)
		require.Equal(t, store.StatusPending, given.status)
		require.EqualValues(t, 10, given.claim.Attempt)
		require.Zero(t, given.claim.Failures)
		require.Zero(t, given.completion.Delay)
		require.EqualValues(t, 10, q.read(1).claim.Failures)
		require.Greater(t, q.read(1).completion.Delay, 10*time.Second)
	})
}

func TestADispatcherServesItsLaneAndNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ci, elsewhere := store.Lane{Kind: store.KindCi}, store.Lane{Kind: store.KindCd, Cluster: "edge"}
		q := newQueue(10)
		q.addTo(ci, 10)
		q.addTo(elsewhere, 10)
		stuck := newSubmitter(takes(time.Hour))
		start(t, q, stuck)
		builds := newSubmitter(takes(10 * time.Millisecond))
		start(t, q, builds, func(c *dispatch.Config) { c.Lane = ci })
		sleep(5 * time.Second)
		require.Equal(t, 10, builds.made(), "a lane that is stuck keeps another waiting")
		for id := int64(11); id <= 20; id++ {
			require.Equal(t, store.StatusSubmitted, q.read(id).status)
			require.Empty(t, stuck.callsOf(id))
		}
		for id := int64(21); id <= 30; id++ {
			require.Equal(t, store.StatusPending, q.read(id).status, "nobody serves its lane")
		}
	})
}

func TestOneRowThatFailsDoesNotKeepOthersFromSubmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.ID == 1 {
				return errors.New("exceeded quota")
			}
			return nil
		})
		start(t, q, s)
		sleep(2 * time.Second)
		require.Equal(t, 99, q.count(store.StatusSubmitted))
		require.Equal(t, store.StatusPending, q.read(1).status)
	})
}

func TestARowThatFailsByItselfDelaysNoNewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.ID == 1 {
				return denied
			}
			return nil
		})
		d := start(t, q, s)
		for id := int64(2); id < 200; id++ {
			sleep(time.Second)
			added := time.Now()
			q.add(1)
			d.Wake()
			sleep(time.Millisecond)
			require.Equal(t, []time.Time{added}, s.callsOf(id))
		}
	})
}

func TestAnOutageOfTheAPISlowsEverythingDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		var down sync.Mutex
		broken := true
		s := newSubmitter(func(context.Context, store.Claim) error {
			down.Lock()
			defer down.Unlock()
			if broken {
				return errors.New("connection refused")
			}
			return nil
		})
		d := start(t, q, s)
		for range 60 {
			sleep(time.Second)
			d.Wake()
		}
		require.Less(t, s.allCalls(), 500, "a minute of retries")
		down.Lock()
		broken = false
		down.Unlock()
		sleep(2 * time.Minute)
		require.Equal(t, 1000, q.count(store.StatusSubmitted))
	})
}

func TestAnOutageOfTheDatabaseLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		s := newSubmitter(takes(10 * time.Millisecond))
		start(t, q, s)
		sleep(50 * time.Millisecond)
		q.mu.Lock()
		q.broken = 5
		q.mu.Unlock()
		sleep(time.Minute)
		require.Equal(t, 100, q.count(store.StatusSubmitted))
		require.Equal(t, 100, s.allCalls())
	})
}

func TestWakeBeginsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		s := newSubmitter(takes(0))
		d := start(t, q, s)
		sleep(1500 * time.Millisecond)
		woken := time.Now()
		q.add(1)
		d.Wake()
		d.Wake()
		sleep(time.Second)
		require.Equal(t, []time.Time{woken}, s.callsOf(1))
	})
}

func TestRowsThatNobodyToldOfAreFoundWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		s := newSubmitter(takes(0))
		start(t, q, s)
		sleep(300 * time.Millisecond)
		added := time.Now()
		q.add(1)
		sleep(time.Second)
		require.LessOrEqual(t, s.callsOf(1)[0].Sub(added), time.Second)
	})
}

func TestAClaimWhoseLeaseIsMoreThanHalfOverIsNotStarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		var late []time.Duration
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			late = append(late, time.Since(q.read(claim.ID).claimedAt)) // the limit is 1: never two at once
			if claim.ID == 1 {
				time.Sleep(lease / 2 * 3 / 2) // longer than it may, whatever its context says
			}
			return nil
		})
		start(t, q, s, func(c *dispatch.Config) { c.Limit = 1 })
		sleep(lease/2 + time.Second)
		require.Equal(t, store.StatusSubmitting, q.read(1).status)
		sleep(3 * lease)
		require.Equal(t, 3, q.count(store.StatusSubmitted))
		require.Greater(t, q.read(2).claim.Attempt, int32(1), "row 2 was never given back")
		for _, after := range late {
			require.LessOrEqual(t, after, lease/2)
		}
	})
}

func TestTheBacklogGateKeepsClaimsBackUntilWorkflowsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		s := newSubmitter(takes(10 * time.Millisecond))
		d := start(t, q, s, func(c *dispatch.Config) { c.MaxActive = 3 })
		sleep(time.Minute)
		require.Equal(t, 3, s.made())
		require.False(t, d.IsBusy(), "status writes wait for a gate that may stay closed for hours")
		for finished := int64(1); finished <= 10; finished++ {
			q.succeed(finished)
			sleep(2 * time.Second)
			require.Equal(t, min(10, 3+int(finished)), s.made())
		}
	})
}

// What was tried before may have a Workflow that nobody knows of: its submitter looks.
func TestAClosedGateKeepsNothingThatIsToBeEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(4)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			switch {
			case claim.ID == 1:
				return nil
			case !claim.Ending:
				return errors.New("connection refused")
			case claim.ID == 2:
				return &argo.Refusal{Status: store.StatusCancelled, Reason: claim.StopReason}
			default: // it need not be ended any more
				return &argo.ShutError{}
			}
		})
		d := start(t, q, s, func(c *dispatch.Config) { c.MaxActive = 1 })
		sleep(10 * time.Second)
		tried := s.allCalls()
		q.mu.Lock()
		q.rows[1].claim.StopReason, q.rows[2].claim.StopReason = v1alpha1.ReasonSuspended, v1alpha1.ReasonSuspended
		q.mu.Unlock()
		d.Wake()
		sleep(time.Second)
		require.Equal(t, store.StatusCancelled, q.read(2).status)
		require.Equal(t, store.StatusPending, q.read(4).status)
		require.Equal(t, 1, s.made())
		q.mu.Lock()
		q.rows[2].claim.StopReason = ""
		q.mu.Unlock()
		sleep(10 * time.Second)
		require.Equal(t, store.StatusPending, q.read(3).status)
		require.Less(t, s.allCalls()-tried, 10, "the others wait")
		require.False(t, d.IsBusy())
	})
}

func TestAClosedGateIsNotBusyAfterAFailureEither(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		s := newSubmitter(func(context.Context, store.Claim) error { return errors.New("connection refused") })
		d := start(t, q, s, func(c *dispatch.Config) { c.MaxActive = 1 })
		sleep(time.Millisecond)
		q.add(1)
		q.mu.Lock()
		q.rows[1].status = store.StatusSubmitted // by another replica
		q.mu.Unlock()
		sleep(time.Minute)
		require.Equal(t, store.StatusPending, q.read(1).status)
		require.False(t, d.IsBusy())
	})
}

func TestTheGateTellsWhenItClosesAndOpensAndObeysANewLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(30)
		told := 0
		d := start(t, q, newSubmitter(takes(0)), func(c *dispatch.Config) { c.MaxActive, c.Held = 3, func() { told++ } })
		sleep(10 * time.Second)
		closed, active, most := d.Backlog()
		require.True(t, closed)
		require.Equal(t, []int{3, 3}, []int{active, most})
		require.Equal(t, 1, told)
		d.SetMaxActive(5)
		sleep(10 * time.Second)
		closed, active, most = d.Backlog()
		require.True(t, closed)
		require.Equal(t, []int{5, 5}, []int{active, most})
		d.SetMaxActive(0)
		sleep(10 * time.Second)
		closed, _, _ = d.Backlog()
		require.False(t, closed)
		require.Equal(t, 2, told)
		require.Equal(t, 30, q.count(store.StatusSubmitted))
	})
}

func TestALimitChangedWhileItRunsHoldsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		s := newSubmitter(takes(100 * time.Millisecond))
		d := start(t, q, s, func(c *dispatch.Config) { c.Limit = 2 })
		sleep(time.Second)
		require.Equal(t, 2, s.peak)
		d.SetLimit(7)
		sleep(time.Second)
		require.Equal(t, 7, s.peak)
		d.SetLimit(1)
		sleep(time.Second)
		before := s.made()
		sleep(time.Second)
		require.Equal(t, 10, s.made()-before)
	})
}

func TestBusyIsToldWhenTriggersBeginAndCeaseToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(30)
		s := newSubmitter(takes(100 * time.Millisecond))
		var mu sync.Mutex
		var told []bool
		d := start(t, q, s, func(c *dispatch.Config) {
			c.Busy = func(busy bool) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, busy)
			}
		})
		sleep(300 * time.Millisecond)
		require.True(t, d.IsBusy())
		sleep(10 * time.Second)
		require.False(t, d.IsBusy())
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []bool{true, false}, told)
	})
}

func TestMovedIsToldOfEveryRowAfterItsCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(20)
		var mu sync.Mutex
		told := map[int64]int{}
		start(t, q, newSubmitter(takes(0)), func(c *dispatch.Config) {
			c.Moved = func(rows []store.Moved) {
				mu.Lock()
				defer mu.Unlock()
				for _, moved := range rows {
					require.Equal(t, store.Status(moved.Status), q.read(moved.ID).status)
					told[moved.ID]++
				}
			}
		})
		sleep(5 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, told, 20)
	})
}

func TestShutdownFinishesWhatIsInFlightAndGivesTheRestBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		s := newSubmitter(takes(3 * time.Second))
		d := start(t, q, s, func(c *dispatch.Config) { c.Limit = 2 })
		sleep(time.Second)
		claims := q.claimed()
		d.stop(t)
		require.Equal(t, claims, q.claimed(), "claimed after its end was asked for")
		require.Equal(t, 2, q.count(store.StatusSubmitted))
		require.Equal(t, 8, q.count(store.StatusPending))
		require.Empty(t, q.read(10).completion.Message, "giving back is not a failure")
		require.Zero(t, q.read(10).completion.Delay, "others may take it at once")
		require.False(t, d.IsBusy())
	})
}

func TestShutdownBreaksOffWhatTakesLongerThanTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(5)
		s := newSubmitter(takes(14 * time.Second))
		d := start(t, q, s, func(c *dispatch.Config) { c.Grace = 2 * time.Second })
		sleep(time.Second)
		asked := time.Now()
		d.stop(t)
		require.Equal(t, 2*time.Second, time.Since(asked))
		require.Equal(t, 5, q.count(store.StatusPending))
	})
}

// Dispatchers come and go while others run, as at every rolling update; a last one
// finishes what is left.
func TestNothingIsLostHoweverOftenDispatchersStartAndStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rows = 2000
		q := newQueue(rows)
		random := rand.New(rand.NewPCG(1, 2))
		s := newSubmitter(func(ctx context.Context, claim store.Claim) error {
			return wait(ctx, time.Duration(claim.ID%40)*time.Millisecond)
		})
		for range 100 {
			one, other := start(t, q, s), start(t, q, s)
			sleep(time.Duration(random.IntN(150)) * time.Millisecond)
			one.stop(t)
			other.Wake()
			sleep(time.Duration(random.IntN(150)) * time.Millisecond)
			other.stop(t)
			require.Zero(t, q.count(store.StatusSubmitting), "a claim was kept")
		}
		start(t, q, s)
		sleep(10 * time.Minute)
		require.Equal(t, rows, q.count(store.StatusSubmitted))
		require.Equal(t, rows, s.allCalls(), "a row was submitted twice although no lease ran out")
	})
}
