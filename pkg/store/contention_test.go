package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// rounds is how often batches meet: one that took its locks in the order of its
// list would die of a deadlock in the first few.
const rounds = 15

func TestBatchesInOppositeOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range rounds {
		planned(t, s, fmt.Sprintf("b%d", round), given.CdPipelines(100, "web"))
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
		requireTogether(t, func() error { return finishAll(t, s, ended, false) }, func() error { return finishAll(t, s, ended, true) },
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
		observations = append(observations, store.Observation{ID: claim.ID, Namespace: claim.Namespace, Owner: claim.PipelineUID, WorkflowName: claim.WorkflowName, Status: status})
	}
	_, err := s.Observe(t.Context(), observations)
	return err
}

func loseAll(t *testing.T, s *store.Store, claims []store.Claim) error {
	var observations []store.Observation
	for _, claim := range claims {
		observations = append(observations, store.Observation{ID: claim.ID, Namespace: claim.Namespace, Owner: claim.PipelineUID, WorkflowName: claim.WorkflowName, Gone: true})
	}
	_, err := s.Observe(t.Context(), observations)
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
func finishAll(t *testing.T, s *store.Store, ended []store.Ended, reverse bool) error {
	var consequences []store.Consequence
	for _, stage := range ended {
		consequences = append(consequences, store.Consequence{Ended: stage, Outcome: stage.Status})
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
