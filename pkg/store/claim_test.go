package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// lease outlives every test.
const lease = time.Hour

func pipelines(claims []store.Claim) []string {
	names := make([]string, len(claims))
	for i, claim := range claims {
		names[i] = claim.Owner.Name
	}
	return names
}

func TestAClaimHasAllThatAWorkflowIsMadeOf(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("web", given.WithPre)))
	execute(t, s, "UPDATE task SET created_at = created_at - interval '1 day', queued_at = queued_at - interval '90 s'")
	got := claim(t, s, "w", 1)[0]
	require.GreaterOrEqual(t, got.Waited, 90*time.Second)
	require.Less(t, got.Waited, 10*time.Minute)
	build, artifact := given.Build("b1"), given.Artifact(0)
	identity := trigger.Identity{
		BuildUID: build.UID, Image: artifact.Image, Digest: artifact.Digest, PipelineUID: string(given.UID("web")), Run: 1, Stage: trigger.StagePre, Attempt: 1,
	}
	want := store.Claim{
		ID: got.ID, Attempt: 1, Kind: store.KindCd, Namespace: given.Namespace,
		Owner:    store.Owner{Kind: "CdPipeline", Name: "web", UID: string(given.UID("web"))},
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName("web", identity),
		Inputs: trigger.Inputs{
			Build: "b1", Revision: "main", Image: artifact.Image, Digest: artifact.Digest, Stage: trigger.StagePre, Run: got.Inputs.Run,
			Parent: "CiPipeline/" + given.CI,
		},
		Waited: got.Waited,
	}
	require.Equal(t, want, got)
	require.Equal(t, []string{fmt.Sprint("Submitting w 1 ", got.Inputs.Run), "Held  0 " + fmt.Sprint(got.Inputs.Run)},
		table(t, s, "SELECT status, claimed_by, t.attempt, cd_workflow_id FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id ORDER BY t.id"))
}

func TestTheQueueIsServedByPriorityThenFairness(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(
		given.CdPipeline("low", given.Priority(-5)), given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("urgent", given.Priority(7)),
	))
	planned(t, s, "b2", given.FamilyOf(given.CdPipeline("c"), given.CdPipeline("urgent-too", given.Priority(7))))
	require.Equal(t, []string{"urgent", "urgent-too"}, pipelines(claim(t, s, "w", 2)))
	// Within one build a comes a quantum before b; c is second in its build.
	require.Equal(t, []string{"a", "c", "b"}, pipelines(claim(t, s, "w", 3)))
	require.Equal(t, []string{"low"}, pipelines(claim(t, s, "w", 1)))
	rest, err := s.Claim(t.Context(), cd, "w", 5, lease)
	require.NoError(t, err)
	require.Empty(t, rest)
}

func TestASmallBuildDoesNotWaitForALargeOne(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "large", given.CdPipelines(500, "large"))
	planned(t, s, "small", given.CdPipelines(3, "small"))
	first := pipelines(claim(t, s, "w", 10))
	for _, name := range []string{"small-000", "small-001", "small-002"} {
		require.Contains(t, first, name)
	}
}

func TestClaimersNeverShareARow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const rows = 500
	planned(t, s, "b1", given.CdPipelines(rows, "web"))
	claimed := make(chan int64, 10*rows)
	var group sync.WaitGroup
	for _, worker := range []string{"a", "b", "c", "d"} {
		group.Go(func() {
			for {
				claims, err := s.Claim(t.Context(), cd, worker, 7, lease)
				if err != nil {
					t.Error(err)
					return
				}
				for _, claim := range claims {
					claimed <- claim.ID
				}
				if depth, _, err := s.QueueDepth(t.Context()); err != nil || depth == 0 {
					return
				}
			}
		})
	}
	group.Wait()
	close(claimed)
	var ids []int64
	for id := range claimed {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	require.Equal(t, taskIDs(t, s), ids)
}

func TestALeaseIsCountedByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(2, "web"))
	claims := claim(t, s, "gone", 2)
	require.Equal(t, 2, count(t, s, "task WHERE lease_until = changed_at + interval '1 hour'"))
	reclaimed, err := s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	require.Zero(t, reclaimed, "no lease has run out")

	execute(t, s, "UPDATE task SET lease_until = now() - interval '1 ms' WHERE id = $1", claims[0].ID)
	reclaimed, err = s.ReclaimExpired(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, reclaimed)
	require.Equal(t, 1, count(t, s, "task WHERE status = 'Pending' AND claimed_by = '' AND lease_until IS NULL"))

	again := claim(t, s, "next", 1)[0]
	require.Equal(t, claims[0].ID, again.ID)
	require.EqualValues(t, 2, again.Attempt)
	require.Equal(t, claims[0].WorkflowName, again.WorkflowName)
}

func TestTheQueueIsMeasured(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	depth, oldest, err := s.QueueDepth(t.Context())
	require.NoError(t, err)
	require.Zero(t, depth)
	require.Zero(t, oldest)

	planned(t, s, "b1", given.CdPipelines(5, "web"))
	execute(t, s, "UPDATE task SET created_at = created_at - interval '1 day', queued_at = queued_at - interval '90 s' WHERE id = (SELECT max(id) FROM task)")
	for _, claim := range claim(t, s, "w", 2) {
		_, err = s.Complete(t.Context(), "w", []store.Completion{{ID: claim.ID, Attempt: 1, Status: store.StatusSubmitted}})
		require.NoError(t, err)
	}
	depth, oldest, err = s.QueueDepth(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, depth)
	require.GreaterOrEqual(t, oldest, 90*time.Second)
	require.Less(t, oldest, 10*time.Minute)
	active, err := s.ActiveWorkflows(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, active)
}

func TestRowsOfNamespacesThatAreNotWatchedWait(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 4}
	everywhere := openStore(t, config)
	planned(t, everywhere, "b1", given.CdPipelines(2, "web"))
	config.Namespaces = []string{"another", "and-another"}
	elsewhere := openStore(t, config)
	config.Namespaces = []string{"another", given.Namespace}
	here := openStore(t, config)

	claims, err := elsewhere.Claim(t.Context(), cd, "w", 10, lease)
	require.NoError(t, err)
	require.Empty(t, claims)
	depth, _, err := elsewhere.QueueDepth(t.Context())
	require.NoError(t, err)
	require.Zero(t, depth)
	claims, err = here.Claim(t.Context(), cd, "w", 1, lease)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	claim(t, everywhere, "w", 1)
	for s, want := range map[*store.Store]int64{elsewhere: 0, here: 2, everywhere: 2} {
		active, err := s.ActiveWorkflows(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, active, "what nobody follows must not close the backlog gate")
	}

	move(t, everywhere, claims[0], store.StatusSucceeded, "")
	for s, want := range map[*store.Store]int{elsewhere: 0, here: 1, everywhere: 1} {
		ended, err := s.Unfollowed(t.Context(), 10, nil)
		require.NoError(t, err)
		require.Len(t, ended, want)
	}
	ended, err := everywhere.Unfollowed(t.Context(), 10, []int64{claims[0].ID})
	require.NoError(t, err)
	require.Empty(t, ended, "passed over")
}

func TestRowsThatFailAgainAndAgainDoNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "bad"))
	for _, bad := range claim(t, s, "w", 3) {
		_, err := s.Complete(t.Context(), "w", []store.Completion{{ID: bad.ID, Attempt: 1, Status: store.StatusPending, Delay: time.Minute}})
		require.NoError(t, err)
	}
	execute(t, s, "UPDATE task SET available_at = now()") // their minute is over, but by the queue's order
	planned(t, s, "b2", given.CdPipelines(3, "good"))
	require.Equal(t, []string{"good-000", "good-001", "good-002"}, pipelines(claim(t, s, "w", 3)))
	require.Equal(t, []string{"bad-000", "bad-001", "bad-002"}, pipelines(claim(t, s, "w", 3)))
}

func TestADatabaseClockThatStepsBackHidesNoNewRow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(1, "web"))
	require.Equal(t, 1, count(t, s, "task WHERE available_at < now() - interval '100 years'"))
}
