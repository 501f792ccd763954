package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// rounds is how often batches meet: one that took its locks in the order of its
// list would die of a deadlock in the first few.
const rounds = 15

func TestBatchesInOppositeOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range rounds {
		planned(t, s, fmt.Sprintf("b%d", round), given.CdPipelines(100, "web", unordered))
		claims := claim(t, s, "w", 100)
		forward := func(status store.Status) func() error {
			return func() error { return observeAll(t, s, claims, status) }
		}
		reverse := slices.Clone(claims)
		slices.Reverse(reverse)
		backward := func(status store.Status) func() error {
			return func() error { return observeAll(t, s, reverse, status) }
		}
		requireTogether(t, func() error { return completeAll(t, s, claims) }, backward(store.StatusSubmitted), forward(store.StatusRunning))
		requireTogether(t, forward(store.StatusSucceeded), backward(store.StatusFailed), func() error { return loseAll(t, s, reverse) })

		ended, err := s.Unfollowed(t.Context(), 1000, nil)
		require.NoError(t, err)
		require.Len(t, ended, 100)
		requireTogether(t, func() error { return finishAll(t, s, ended, v1alpha1.ConcurrencyAllow, false) }, func() error { return finishAll(t, s, ended, v1alpha1.ConcurrencyAllow, true) },
			forward(store.StatusRunning))
		left, err := s.Unfollowed(t.Context(), 1, nil)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// requireTogether runs all at the same time and wants no error of any.
func requireTogether(t *testing.T, all ...func() error) {
	t.Helper()
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { errs[i] = one() })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
}

func observeAll(t *testing.T, s *store.Store, claims []store.Claim, status store.Status) error {
	var observations []store.Observation
	for _, claim := range claims {
		observations = append(observations, seen(claim, status))
	}
	_, err := observeUnlocked(t, s, observations)
	return err
}

// observeUnlocked observes until nobody else holds any of the rows.
func observeUnlocked(t testing.TB, s *store.Store, observations []store.Observation) (moved []store.Moved, err error) {
	t.Helper()
	for {
		more, err := s.Observe(t.Context(), observations)
		moved = append(moved, more...)
		var busy *store.BusyError
		if !errors.As(err, &busy) {
			return moved, err
		}
	}
}

func loseAll(t *testing.T, s *store.Store, claims []store.Claim) error {
	var observations []store.Observation
	for _, claim := range claims {
		observations = append(observations, store.Observation{Gone: claim.ID})
	}
	_, err := observeUnlocked(t, s, observations)
	return err
}

func completeAll(t *testing.T, s *store.Store, claims []store.Claim) error {
	var completions []store.Completion
	for _, claim := range claims {
		completions = append(completions, store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted})
	}
	_, err := s.Complete(t.Context(), "w", completions)
	return err
}

// finishAll ends every run; that another was faster is what can happen.
func finishAll(t *testing.T, s *store.Store, ended []store.Ended, policy v1alpha1.ConcurrencyPolicy, reverse bool) error {
	var consequences []store.Consequence
	for _, stage := range ended {
		consequences = append(consequences, store.Consequence{Ended: stage, Policy: policy, Outcome: stage.Status})
	}
	if reverse {
		slices.Reverse(consequences)
	}
	err := s.Follow(t.Context(), consequences)
	if errors.Is(err, store.ErrStale) {
		return nil
	}
	return err
}

// A mirror notes pipelines that have changed and ones that are new, while a build of all
// of them is planned, a run of them is followed, and some are deleted.
func TestPlansAndMirrorsOfNewPipelinesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	old := given.CdPipelines(60, "old", unordered)
	for round := range rounds {
		build := given.Build(fmt.Sprintf("b%d", round))
		family := append(given.CdPipelines(60, fmt.Sprintf("new-%d", round), unordered), old...)
		plan := planOf(t, build, given.Artifacts(1), family)
		mirror := func() error { return s.MirrorCdPipelines(t.Context(), mirrorOf(family, round)) }
		reverse := slices.Clone(family)
		slices.Reverse(reverse)
		planAll := func() error { _, err := s.Plan(t.Context(), plan); return err }
		requireTogether(t, planAll, mirror, func() error { return s.MirrorCdPipelines(t.Context(), mirrorOf(reverse, round)) })

		endActive(t, s, store.StatusSucceeded)
		ended := unfollowed(t, s)
		require.Len(t, ended, len(family))
		gone := make([]string, 0, len(family))
		for _, pipeline := range family {
			gone = append(gone, string(pipeline.UID))
		}
		requireTogether(t, func() error { return finishAll(t, s, ended, v1alpha1.ConcurrencyAllow, true) }, mirror, func() error { return s.ForgetMirrored(t.Context(), gone) })
	}
	require.Zero(t, count(t, s, "turn WHERE state <> 'Ended'"))
}

func mirrorOf(family given.Family, version int) []store.MirroredCdPipeline {
	var list []store.MirroredCdPipeline
	for _, pipeline := range family {
		list = append(list, store.MirroredCdPipeline{
			UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name, SpecHash: fmt.Sprint(version),
		})
	}
	return list
}

// A follower holds a task that has ended, of a batch of which the worker tells late.
func TestACompletionWaitsForNoTaskThatItDoesNotMove(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	claims := claim(t, s, "w", 3)
	observe(t, s, claims[1], store.StatusSucceeded)
	execute(t, s, "UPDATE task SET claimed_by = 'thief' WHERE id = $1", claims[2].ID)
	follower, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, follower.Rollback(t.Context())) }()
	_, err = follower.Exec(t.Context(), "SELECT FROM task WHERE id = ANY($1) FOR NO KEY UPDATE", []int64{claims[1].ID, claims[2].ID})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var completions []store.Completion
	for _, claim := range claims {
		completions = append(completions, store.Completion{ID: claim.ID, Attempt: 1, Status: store.StatusSubmitted})
	}
	moved, err := s.Complete(ctx, "w", completions)
	require.NoError(t, err)
	require.Len(t, moved, 1)
}

// Many builds are planned, and end, at the same time in one pipeline: whoever looks sees
// one turn, and the order of the builds.
func TestPlansAndFollowersAtOnceGiveOneTurn(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.ConcurrencyPolicy{v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			family := given.FamilyOf(given.CdPipeline("above", unordered), given.CdPipeline("web", given.BelowCd("above"), given.Concurrency(policy)))
			const builds = 24
			for i := range builds {
				plannedBuild(t, s, builtAt(fmt.Sprintf("b%02d", i), i), given.Artifacts(2), family)
			}
			endActive(t, s, store.StatusSucceeded)
			above := ofPipeline(unfollowed(t, s), "above")
			require.Len(t, above, 2*builds)
			rand.Shuffle(len(above), func(i, j int) { above[i], above[j] = above[j], above[i] })
			work := make(chan store.Ended, len(above))
			for _, ended := range above {
				work <- ended
			}
			close(work)
			var group sync.WaitGroup
			for range 4 { // each build reaches web in two transactions
				group.Go(func() {
					for ended := range work {
						if err := s.Follow(t.Context(), []store.Consequence{consequenceOf(t, ended, slices.Clone(family))}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { group.Wait(); close(done) }()
			for running := true; running; {
				select {
				case <-done:
					running = false
				default: // meanwhile web goes on
					claims, err := s.Claim(t.Context(), cd, "w", 100, lease)
					require.NoError(t, err)
					require.NoError(t, observeAll(t, s, claims, store.StatusSucceeded))
					require.NoError(t, finishAll(t, s, ofPipeline(unfollowed(t, s), "web"), policy, false))
				}
				require.LessOrEqual(t, count(t, s, fmt.Sprintf("turn WHERE state = 'Active' AND pipeline_uid = '%s'", given.UID("web"))), 1)
			}
			drain(t, s, family, store.StatusSucceeded)
			order := slices.Compact(started(t, s, "web"))
			require.NotEmpty(t, order)
			require.IsIncreasing(t, order)
			require.Zero(t, count(t, s, "task WHERE status = 'Held' OR settled_at IS NULL"))
			require.Equal(t, builds, count(t, s, "(SELECT DISTINCT build_uid FROM trigger_decision WHERE pipeline = 'web' AND outcome <> 'Waiting') decided"))
		})
	}
}

func ofPipeline(ended []store.Ended, pipeline string) []store.Ended {
	return slices.DeleteFunc(ended, func(ended store.Ended) bool { return ended.Pipeline != pipeline })
}

// blocked waits until so many calls of the store wait for a lock.
func blocked(t *testing.T, s *store.Store, calls int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, s, "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == calls
	}, 10*time.Second, 5*time.Millisecond)
}

// What follows supersedes a task that was planned later, and then lets an earlier one go;
// who cancels takes them in the order of their ids.
func TestWhoCancelsWhatWaitsAndWhoGivesTurnsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	manual := given.FamilyOf(given.CdPipeline("web", given.ManualStage(trigger.StageDeploy)))
	plannedBuild(t, s, builtAt("b0", 0), given.Artifacts(1), family)
	endActive(t, s, store.StatusSucceeded)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), manual)
	require.Equal(t, []string{"b0 Active", "b1 Yielded", "b2 Waiting"}, turns(t, s))
	earlier := taskIDs(t, s)[1]
	consequences := []store.Consequence{consequenceOf(t, unfollowed(t, s)[0], family)}

	another, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = another.Exec(t.Context(), "SELECT FROM task WHERE id = $1 FOR NO KEY UPDATE", earlier)
	require.NoError(t, err)
	errs := make(chan error, 2)
	go func() {
		_, err := s.CancelWaiting(t.Context(), string(given.UID("web")), v1alpha1.ReasonSuspended, "spec.suspend is true")
		errs <- err
	}()
	blocked(t, s, 1)
	go func() { errs <- s.Follow(t.Context(), consequences) }()
	blocked(t, s, 2)
	require.NoError(t, another.Rollback(t.Context()))
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	drain(t, s, family, store.StatusSucceeded)
	require.Zero(t, count(t, s, "turn WHERE state NOT IN ('Ended', 'Superseded')"))
}
