package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// world is a database, its model, and what the workers around it believe.
type world struct {
	t      *testing.T
	s      *store.Store
	random *rand.Rand
	model  *model
	// family is the pipelines as they are now; generation tells those of one name apart.
	family     given.Family
	generation int
	held       []held
	// ended is what followers have read, and may come back with late.
	ended [][]store.Ended
	// doubts are what trackers have read, and may come back with late.
	doubts [][]store.Doubt
}

// held is a claim that some worker once got, and may still believe in.
type held struct {
	store.Claim
	worker string
}

// completion is one whose task has a name.
type completion struct {
	store.Completion
	name string
}

// observation is one of a Workflow of a claim, or of a copy.
type observation struct {
	store.Observation
	id   int64
	name string
}

// step is one call of the store: do makes it and keeps the answer, apply has the
// model follow. Alone means that nothing else runs meanwhile.
type step struct {
	says  string
	do    func() error
	apply func(m *model, alone bool) error
	// again means that it is made once more where it was not alone.
	again bool
	// parts are the same call for each of its tasks, where it passes over those that another
	// call holds and comes back for them. They only apply.
	parts []step
}

// next draws a step.
func (w *world) next() step {
	for {
		draws := []func() (step, bool){
			w.plan, w.claim, w.claim, w.claim, w.complete, w.complete, w.complete, w.runOut, w.reclaim,
			w.observe, w.observe, w.observe, w.follow, w.follow, w.follow, w.followLate, w.cancelWaiting, w.reopen,
		}
		if drawn, possible := draws[w.random.IntN(len(draws))](); possible {
			return drawn
		}
	}
}

// plan commits a build, new or planned before.
func (w *world) plan() (step, bool) {
	build := fmt.Sprintf("b%d", len(w.model.builds)-w.random.IntN(2)*w.random.IntN(len(w.model.builds)+1))
	plan := planOf(w.t, given.Build(build), given.Artifacts(1), slices.Clone(w.family))
	var planned bool
	return step{
		says: "plan " + build,
		do: func() (err error) {
			planned, err = w.s.Plan(w.t.Context(), plan)
			return err
		},
		apply: func(m *model, _ bool) error { return m.plan(plan, planned) },
	}, true
}

func (w *world) claim() (step, bool) {
	worker, most, ending := fmt.Sprintf("worker-%d", w.random.IntN(2)), 1+w.random.IntN(4), w.random.IntN(4) == 0
	claim := w.s.Claim
	if ending { // as behind a closed gate
		claim = w.s.ClaimEnding
	}
	var claims []store.Claim
	return step{
		says: fmt.Sprintf("%s claims %d, only what ends %t", worker, most, ending),
		do: func() (err error) {
			claims, err = claim(w.t.Context(), cd, worker, most, lease)
			return err
		},
		apply: func(m *model, alone bool) error {
			for _, claim := range claims {
				same := func(other held) bool { return other.ID == claim.ID && other.Attempt == claim.Attempt }
				if !slices.ContainsFunc(w.held, same) { // it is applied twice where two calls are made at once
					w.held = append(w.held, held{claim, worker})
				}
			}
			return m.claim(worker, most, claims, alone && !ending)
		},
	}, true
}

// complete tells of claims that a worker has, or had once.
func (w *world) complete() (step, bool) {
	believed := w.believed()
	if len(believed) == 0 {
		return step{}, false
	}
	worker := believed[w.random.IntN(len(believed))].worker
	believed = slices.DeleteFunc(believed, func(claim held) bool { return claim.worker != worker })
	var batch []completion
	for _, claim := range some(w.random, believed, 3) {
		batch = append(batch, completion{store.Completion{
			ID: claim.ID, Attempt: claim.Attempt, Delay: time.Duration(w.random.IntN(6)/5) * time.Hour, Failed: w.random.IntN(6) == 0,
			Status: []store.Status{
				store.StatusSubmitted, store.StatusSubmitted, store.StatusPending, store.StatusError, store.StatusCancelled, store.StatusSucceeded, store.StatusHeld,
			}[w.random.IntN(7)],
			Reason:      []v1alpha1.Reason{"", v1alpha1.ReasonSubmissionDelayed}[w.random.IntN(2)],
			WorkflowUID: []string{"", workflowUID(claim.Claim)}[w.random.IntN(2)],
		}, claim.WorkflowName})
	}
	var moved []store.Moved
	return step{
		says: fmt.Sprintf("%s completes %+v", worker, batch),
		do: func() (err error) {
			moved, err = w.s.Complete(w.t.Context(), worker, plain(batch))
			return err
		},
		apply: func(m *model, _ bool) error { return m.complete(worker, batch, moved) },
	}, true
}

// believed are claims that workers believe in: mostly the last ones, sometimes any.
func (w *world) believed() []held {
	const last = 6
	if w.random.IntN(3) == 0 {
		return slices.Clone(w.held)
	}
	return slices.Clone(w.held[max(0, len(w.held)-last):])
}

// runOut makes the lease of a task that somebody once claimed run out.
func (w *world) runOut() (step, bool) {
	believed := w.believed()
	if len(believed) == 0 {
		return step{}, false
	}
	claim := believed[w.random.IntN(len(believed))]
	return step{
		says: fmt.Sprintf("the lease of %s runs out", claim.WorkflowName),
		do: func() error {
			_, err := w.s.Pool().Exec(w.t.Context(), "UPDATE task SET lease_until = lease_until - interval '1 day' WHERE id = $1", claim.ID)
			return err
		},
		apply: func(m *model, _ bool) error { m.runOut(claim.WorkflowName); return nil },
	}, true
}

func (w *world) reclaim() (step, bool) {
	return step{
		says: "reclaim what has run out", again: true,
		do: func() error {
			_, err := w.s.ReclaimExpired(w.t.Context())
			return err
		},
		apply: func(m *model, _ bool) error { m.reclaim(); return nil },
	}, true
}

// cancelWaiting ends what waits of a pipeline, as when it is suspended.
func (w *world) cancelWaiting() (step, bool) {
	if w.random.IntN(8) > 0 { // or little would ever end well
		return step{}, false
	}
	name := familyNames[w.random.IntN(len(familyNames))]
	var moved []store.Moved
	return step{
		says: "cancel what waits of " + name,
		do: func() (err error) {
			moved, err = w.s.CancelWaiting(w.t.Context(), string(given.UID(name)), v1alpha1.ReasonSuspended, "spec.suspend is true")
			return err
		},
		apply: func(m *model, _ bool) error {
			return m.cancelWaiting(string(given.UID(name)), v1alpha1.ReasonSuspended, moved)
		},
	}, true
}

func plain(batch []completion) []store.Completion {
	completions := make([]store.Completion, len(batch))
	for i := range batch {
		completions[i] = batch[i].Completion
	}
	return completions
}
