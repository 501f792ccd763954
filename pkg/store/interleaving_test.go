package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// model is what a row must be, computed without the database.
type model struct {
	claim   store.Claim
	state   store.Status
	attempt int32
	worker  string
	expired bool
}

// world is rows in the database and their models.
type world struct {
	t      *testing.T
	s      *store.Store
	random *rand.Rand
	rows   map[int64]*model
	ids    []int64
	held   []held
	said   string
}

// held is a claim that some worker once got, and may still believe in.
type held struct {
	id      int64
	attempt int32
	worker  string
}

// Any order of claims, completions by workers fresh and stale, observations and
// expired leases leaves each row where the model of the state machine has it.
func TestAnyInterleavingFollowsTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for range 400 {
				w.step()
				w.check()
			}
		})
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(12, "web"))
	w := &world{t: t, s: s, random: rand.New(rand.NewPCG(seed, 0)), rows: map[int64]*model{}, ids: runners(t, s)}
	names := table(t, s, "SELECT workflow_name FROM cd_workflow_runner ORDER BY id")
	for i, owner := range table(t, s, "SELECT pipeline_uid FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id ORDER BY r.id") {
		claim := store.Claim{ID: w.ids[i], Namespace: given.Namespace, WorkflowName: names[i], PipelineUID: owner}
		w.rows[w.ids[i]] = &model{claim: claim, state: store.StatusPending}
	}
	return w
}

func (w *world) step() {
	steps := []func(){w.claim, w.complete, w.complete, w.expire, w.observe, w.lose}
	weights := []int{4, 4, 4, 2, 1, 1}
	n := w.random.IntN(16)
	for i, weight := range weights {
		if n -= weight; n < 0 {
			steps[i]()
			return
		}
	}
}

func (w *world) claim() {
	worker := fmt.Sprintf("worker-%d", w.random.IntN(3))
	w.said = worker + " claims"
	claims, err := w.s.Claim(w.t.Context(), worker, 1+w.random.IntN(3), lease)
	require.NoError(w.t, err)
	for _, claim := range claims {
		row := w.rows[claim.ID]
		require.Equal(w.t, store.StatusPending, row.state, w.said)
		row.state, row.attempt, row.worker, row.expired = store.StatusSubmitting, row.attempt+1, worker, false
		require.Equal(w.t, row.attempt, claim.Attempt)
		w.held = append(w.held, held{claim.ID, claim.Attempt, worker})
	}
}

func (w *world) complete() {
	if len(w.held) == 0 {
		return
	}
	claim := w.held[w.random.IntN(len(w.held))]
	to := []store.Status{store.StatusSubmitted, store.StatusPending, store.StatusError, store.StatusCancelled, store.StatusSucceeded}[w.random.IntN(5)]
	w.said = fmt.Sprintf("%s completes row %d, attempt %d, as %s", claim.worker, claim.id, claim.attempt, to)
	_, err := w.s.Complete(w.t.Context(), claim.worker, []store.Completion{{ID: claim.id, Attempt: claim.attempt, Status: to}})
	require.NoError(w.t, err)
	row := w.rows[claim.id]
	if row.state == store.StatusSubmitting && row.worker == claim.worker && row.attempt == claim.attempt && to != store.StatusSucceeded {
		row.state = to
	}
}

// expire lets one lease run out, and gives back what has expired.
func (w *world) expire() {
	id := w.ids[w.random.IntN(len(w.ids))]
	w.said = fmt.Sprintf("the lease of row %d runs out", id)
	execute(w.t, w.s, "UPDATE cd_workflow_runner SET lease_until = lease_until - interval '1 day' WHERE id = $1", id)
	_, err := w.s.ReclaimExpired(w.t.Context())
	require.NoError(w.t, err)
	if row := w.rows[id]; row.state == store.StatusSubmitting {
		row.state = store.StatusPending
	}
}

func (w *world) observe() {
	row := w.rows[w.ids[w.random.IntN(len(w.ids))]]
	seen := workflowStates[w.random.IntN(len(workflowStates))]
	w.said = fmt.Sprintf("the Workflow of row %d is %s", row.claim.ID, seen)
	_, err := w.s.Observe(w.t.Context(), []store.Observation{{ID: row.claim.ID, Namespace: row.claim.Namespace, Owner: row.claim.PipelineUID, WorkflowName: row.claim.WorkflowName, Status: seen}})
	require.NoError(w.t, err)
	row.state = observed(row.state, seen)
}

func (w *world) lose() {
	row := w.rows[w.ids[w.random.IntN(len(w.ids))]]
	w.said = fmt.Sprintf("the Workflow of row %d is gone", row.claim.ID)
	_, err := w.s.Observe(w.t.Context(), []store.Observation{{ID: row.claim.ID, Namespace: row.claim.Namespace, Owner: row.claim.PipelineUID, WorkflowName: row.claim.WorkflowName, Gone: true}})
	require.NoError(w.t, err)
	row.state = lost(row.state)
}

func (w *world) check() {
	want := make([]string, len(w.ids))
	for i, id := range w.ids {
		want[i] = fmt.Sprint(id, " ", w.rows[id].state, " ", w.rows[id].attempt)
	}
	require.Equal(w.t, want, table(w.t, w.s, "SELECT id, status, attempt FROM cd_workflow_runner ORDER BY id"), w.said)
}
