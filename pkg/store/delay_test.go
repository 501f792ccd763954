package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	shutByQuota  = store.Rooms{Of: map[string]store.Room{given.Namespace: {Cause: v1alpha1.ReasonQuotaExceeded}}}
	shutByPolicy = store.Rooms{Of: map[string]store.Room{given.Namespace: {Cause: v1alpha1.ReasonPolicyDenied}}}
)

// claimWithin claims, and returns the pipelines of the claims and where tasks were set aside.
func claimWithin(t *testing.T, s *store.Store, most int, rooms store.Rooms) ([]string, map[string]v1alpha1.Reason) {
	t.Helper()
	claims, aside, err := s.ClaimWithin(t.Context(), cd, "w", most, lease, rooms)
	require.NoError(t, err)
	return pipelines(claims), aside
}

func completed(t *testing.T, s *store.Store, completions ...store.Completion) {
	t.Helper()
	moved, err := s.Complete(t.Context(), "w", completions)
	require.NoError(t, err)
	require.Len(t, moved, len(completions))
}

func probe(t *testing.T, s *store.Store, tasks int) []store.Claim {
	t.Helper()
	claims, err := s.ClaimDelayed(t.Context(), cd, "w", lease, map[string]int{given.Namespace: tasks, "elsewhere": 3})
	require.NoError(t, err)
	return claims
}

func TestTasksOfAShutNamespaceAreSetAsideAndProbedInTheirOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c"), given.CdPipeline("urgent", given.Priority(7))))
	claimed, aside := claimWithin(t, s, 2, shutByQuota)
	require.Empty(t, claimed)
	require.Equal(t, map[string]v1alpha1.Reason{given.Namespace: v1alpha1.ReasonQuotaExceeded}, aside)
	delayed, err := s.DelayedNamespaces(t.Context(), cd)
	require.NoError(t, err)
	require.Equal(t, aside, delayed)
	claims, err := s.Claim(t.Context(), cd, "w", 10, lease)
	require.NoError(t, err)
	require.Empty(t, claims, "they are no part of the queue")
	depth, oldest, err := s.QueueDepth(t.Context())
	require.NoError(t, err)
	require.Zero(t, depth)
	require.Zero(t, oldest)

	first := probe(t, s, 1)
	require.Equal(t, []string{"urgent"}, pipelines(first))
	require.True(t, first[0].Probe)
	require.EqualValues(t, 1, first[0].Attempt)
	require.Equal(t, []string{"a", "b"}, pipelines(probe(t, s, 2)))

	more, err := s.ReleaseDelayed(t.Context(), cd, []string{given.Namespace})
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, []string{"c"}, pipelines(claim(t, s, "w", 1)))
	require.Zero(t, count(t, s, "task WHERE delayed_by <> ''"))
}

func TestOfANamespaceWithLittleRoomAFewAreClaimedAndOthersAsBefore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c")))
	execute(t, s, `INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, status, priority, fair_at)
		SELECT 'cd', 'other', 'CdPipeline', 'other-' || n, 'other-' || n, 'other-' || n, 'other-' || n, 'Pending', 0, now() + interval '1 hour' FROM generate_series(1, 3) n`)
	claimed, aside := claimWithin(t, s, 10, store.Rooms{Share: 2, Of: map[string]store.Room{given.Namespace: {Tasks: 1, Cause: v1alpha1.ReasonNamespaceShare}}})
	require.Equal(t, []string{"a", "other-1", "other-2"}, claimed)
	require.Equal(t, map[string]v1alpha1.Reason{given.Namespace: v1alpha1.ReasonNamespaceShare, "other": v1alpha1.ReasonNamespaceShare}, aside)
	active, err := s.ActiveByNamespace(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{given.Namespace: 1, "other": 2}, active)
}

func TestWhatWasRefusedIsSetAsideAndTellsWhy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b")))
	refused := claim(t, s, "w", 2)
	completed(t, s, store.Completion{
		ID: refused[0].ID, Attempt: 1, Status: store.StatusPending, Reason: v1alpha1.ReasonQuotaExceeded, Message: "attempt 1: exceeded quota",
		Delay: time.Hour, DelayedBy: v1alpha1.ReasonQuotaExceeded, Failed: true,
	}, store.Completion{ID: refused[1].ID, Attempt: 1, Status: store.StatusPending, DelayedBy: v1alpha1.ReasonQuotaExceeded})
	summaries, err := s.Summaries(t.Context(), []string{given.Build("b1").UID})
	require.NoError(t, err)
	delayed := summaries[given.Build("b1").UID].Delayed
	require.Len(t, delayed, 1)
	require.WithinDuration(t, time.Now().Add(time.Hour), delayed[0].Next, time.Minute)
	delayed[0].Next = time.Time{}
	require.Equal(t, store.DelayedCount{
		Namespace: given.Namespace, Reason: v1alpha1.ReasonQuotaExceeded, Count: 2, Examples: []string{"a", "b"},
		Message: "attempt 1: exceeded quota", Attempts: 1,
	}, delayed[0])
	runs, err := s.LastRuns(t.Context(), []string{string(given.UID("a")), string(given.UID("b"))})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.ReasonQuotaExceeded, runs[string(given.UID("b"))].DelayedBy)
	require.Equal(t, 1, runs[string(given.UID("a"))].Attempts)
	counts, err := s.DelayedTasks(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"QuotaExceeded": 2}, counts)
	builds, owners, err := s.DelayedOwners(t.Context(), given.Namespace, 10)
	require.NoError(t, err)
	require.Len(t, builds, 1)
	require.Len(t, owners, 2)

	// The namespace has room before the hour is over: any task will do.
	require.Len(t, probe(t, s, 5), 2)
}

func TestATaskThatAPolicyDeniedIsLeftAloneWhileOthersOfItsNamespaceAreTried(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b")))
	denied := claim(t, s, "w", 1)[0]
	completed(t, s, store.Completion{
		ID: denied.ID, Attempt: 1, Status: store.StatusPending, Reason: v1alpha1.ReasonPolicyDenied, Message: "denied", Delay: time.Hour, DelayedBy: v1alpha1.ReasonPolicyDenied,
	})
	claimWithin(t, s, 10, shutByPolicy)
	require.Equal(t, []string{"b"}, pipelines(probe(t, s, 5)))
}

// A probe that was not tried, since another of its round was refused, is the first of the next.
func TestWhatIsGivenBackUntriedKeepsItsPlaceAndWhatWasRefusedLosesIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c")))
	claimWithin(t, s, 10, shutByPolicy)
	round := probe(t, s, 2)
	require.Equal(t, []string{"a", "b"}, pipelines(round))
	completed(t, s,
		store.Completion{ID: round[0].ID, Attempt: 1, Status: store.StatusPending, Reason: v1alpha1.ReasonPolicyDenied, Message: "denied", Delay: time.Hour, DelayedBy: v1alpha1.ReasonPolicyDenied},
		store.Completion{ID: round[1].ID, Attempt: 1, Status: store.StatusPending, DelayedBy: v1alpha1.ReasonPolicyDenied})
	execute(t, s, "UPDATE task SET available_at = now() WHERE id = $1", round[0].ID) // as after that hour
	require.Equal(t, []string{"b", "c", "a"}, pipelines(probe(t, s, 3)))
}

// A shut namespace must not keep what is to be ended: that needs no Workflow.
func TestWhatIsCancelledIsClaimedAlsoInAShutNamespace(t *testing.T) {
	t.Parallel()
	for sentence, attempted := range map[string]bool{"set aside before its first attempt": false, "given back after one": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b")))
			if attempted {
				for _, tried := range claim(t, s, "w", 2) {
					completed(t, s, store.Completion{ID: tried.ID, Attempt: 1, Status: store.StatusPending, DelayedBy: v1alpha1.ReasonQuotaExceeded})
				}
			} else {
				claimWithin(t, s, 10, shutByQuota)
			}
			_, err := s.CancelWaiting(t.Context(), string(given.UID("a")), v1alpha1.ReasonSuspended, "spec.suspend is true")
			require.NoError(t, err)
			claimed, _ := claimWithin(t, s, 10, shutByQuota)
			if attempted {
				require.Equal(t, []string{"a"}, claimed, "it may have a Workflow")
				return
			}
			require.Empty(t, claimed)
			require.Equal(t, 1, count(t, s, "task WHERE owner_name = 'a' AND status = 'Cancelled'"))
		})
	}
}

func TestWhatIsOnlyGivenBackIsNotTakenForWhatIsToBeEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b")))
	given := claim(t, s, "w", 2)
	completed(t, s, store.Completion{ID: given[0].ID, Attempt: 1, Status: store.StatusPending})
	execute(t, s, "UPDATE task SET lease_until = lease_until - interval '1 day' WHERE id = $1", given[1].ID)
	_, err := s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	claimed, aside := claimWithin(t, s, 10, shutByQuota)
	require.Empty(t, claimed)
	require.Len(t, aside, 1)
}

func TestTheOldestHoldersAreFoundAndSuspendedOnesDoNotCount(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c")))
	claims := claim(t, s, "w", 3)
	require.NoError(t, completeAll(t, s, claims))
	execute(t, s, "UPDATE task SET submitted_at = now() - interval '1 day' WHERE owner_name = 'b'")
	holders, err := s.OldestActive(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, holders, 2)
	require.Equal(t, claims[1].WorkflowName, holders[0].WorkflowName)
	require.WithinDuration(t, time.Now().Add(-24*time.Hour), holders[0].Since, time.Minute)
	active, err := s.ActiveWorkflows(t.Context(), holders[0].ID)
	require.NoError(t, err)
	require.EqualValues(t, 2, active)
	rest, err := s.OldestActive(t.Context(), 5, holders[0].ID, holders[1].ID)
	require.NoError(t, err)
	require.Len(t, rest, 1)
}

// Whoever claims, sets aside, probes, releases and completes at the same time loses nothing
// and gives nothing to two workers.
func TestTasksThatAreSetAsideByManyAtOnceEndUpSubmittedOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const tasks, workers = 120, 6
	planned(t, s, "b1", given.CdPipelines(tasks, "web"))
	var group errgroup.Group
	for worker := range workers {
		random := rand.New(rand.NewPCG(uint64(worker), 1))
		group.Go(func() error { return hustle(t.Context(), s, fmt.Sprint("w", worker), random) })
	}
	require.NoError(t, group.Wait())
	require.Equal(t, tasks, count(t, s, "task WHERE status = 'Submitted' AND delayed_by = ''"))
	require.Equal(t, tasks, count(t, s, "event WHERE kind = 'Task' AND state = 'Submitted'"))
}

// hustle does what dispatchers do, in any order, until no task is left.
func hustle(ctx context.Context, s *store.Store, worker string, random *rand.Rand) error {
	for {
		var claims []store.Claim
		var err error
		switch random.IntN(4) {
		case 0:
			claims, _, err = s.ClaimWithin(ctx, cd, worker, 5, lease, shutByQuota)
		case 1:
			claims, _, err = s.ClaimWithin(ctx, cd, worker, 5, lease, store.Rooms{Share: 2})
		case 2:
			_, err = s.ReleaseDelayed(ctx, cd, []string{given.Namespace})
		default:
			claims, err = s.ClaimDelayed(ctx, cd, worker, lease, map[string]int{given.Namespace: 3})
		}
		if err != nil {
			return err
		}
		if err := hustleOn(ctx, s, worker, claims, random); err != nil {
			return err
		}
		var left int
		err = s.Pool().QueryRow(ctx, "SELECT count(*) FROM task WHERE status = 'Pending'").Scan(&left)
		if err != nil || left == 0 {
			return err
		}
	}
}

// hustleOn submits most of the claims, and has some refused or given back.
func hustleOn(ctx context.Context, s *store.Store, worker string, claims []store.Claim, random *rand.Rand) error {
	var completions []store.Completion
	for _, claimed := range claims {
		completion := store.Completion{ID: claimed.ID, Attempt: claimed.Attempt, Status: store.StatusSubmitted}
		switch random.IntN(6) {
		case 0:
			completion.Status, completion.Reason = store.StatusPending, v1alpha1.ReasonQuotaExceeded
			completion.Delay, completion.DelayedBy = time.Millisecond, v1alpha1.ReasonQuotaExceeded
		case 1:
			completion.Status = store.StatusPending
		}
		completions = append(completions, completion)
	}
	if len(completions) == 0 {
		return nil
	}
	moved, err := s.Complete(ctx, worker, completions)
	if err == nil && len(moved) != len(completions) {
		return fmt.Errorf("%d of %d claims were another's", len(completions)-len(moved), len(completions))
	}
	return err
}
