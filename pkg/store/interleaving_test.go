package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each run draws a seed of its own and tells it. MODEL_SEED repeats one, MODEL_STEPS
// takes more steps:
//
//	MODEL_SEED=7 MODEL_STEPS=20000 go test ./pkg/store -run 'Interleaving|AtOnce|AnyOrder' -v
const (
	seedVariable  = "MODEL_SEED"
	stepsVariable = "MODEL_STEPS"
	defaultSteps  = 1000
)

// Any order of plans, claims, completions by workers fresh and stale, leases that run
// out, observations, followers that come late, and of meddling with the pipelines
// meanwhile, leaves the tables where the model has them.
func TestAnyInterleavingFollowsTheModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range modelSteps(t) {
		w.meddleSometimes()
		next := w.next()
		require.NoError(t, next.do(), next.says)
		require.NoError(t, next.apply(w.model, true), next.says)
		require.Empty(t, difference(w.model, tablesOf(t, w.s)), next.says)
	}
}

// Two calls at the same time, of two workers or two replicas, leave the tables and
// give the answers that they would have one after the other.
func TestTwoCallsAtOnceEndAsIfOneCameAfterTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range modelSteps(t) {
		w.meddleSometimes()
		one, other := w.next(), w.next()
		require.NoError(t, w.together(one, other), "%s | %s", one.says, other.says)
		w.follows(orders(one, other), tablesOf(t, w.s))
	}
}

// orders are those in which two calls may have come that were made at once. One that is
// not a single transaction may have come partly before the other and partly after it.
func orders(one, other step) [][]step {
	all := [][]step{{one, other}, {other, one}}
	if len(one.parts) == 0 {
		one, other = other, one
	}
	for some := 1; some < 1<<len(one.parts)-1; some++ {
		var before, after []step
		for i, part := range one.parts {
			if some&(1<<i) != 0 {
				before = append(before, part)
			} else {
				after = append(after, part)
			}
		}
		all = append(all, slices.Concat(before, []step{other}, after))
	}
	return all
}

// follows has the model follow the first of the orders that leads to the tables, and fails
// where none does.
func (w *world) follows(orders [][]step, got []string) {
	w.t.Helper()
	var wrong []string
	for _, order := range orders {
		m, err := w.after(order)
		lines := difference(m, got)
		if err == nil && len(lines) == 0 {
			w.model = m
			return
		}
		said := make([]string, len(order))
		for i, made := range order {
			said[i] = made.says
		}
		wrong = append(wrong, fmt.Sprintf("not %s: %v %q", strings.Join(said, ", then "), err, lines))
	}
	require.Fail(w.t, "no order of the calls leads to the tables", strings.Join(wrong, "\n"))
}

// together makes both calls at the same time. Reclaiming passes over rows that
// another call holds, and so is repeated.
func (w *world) together(one, other step) error {
	errs := make([]error, 2)
	var group sync.WaitGroup
	group.Go(func() { errs[0] = one.do() })
	group.Go(func() { errs[1] = other.do() })
	group.Wait()
	for i, made := range []step{one, other} {
		if errs[i] != nil {
			return errs[i]
		}
		if made.again {
			if err := made.do(); err != nil {
				return err
			}
		}
	}
	return nil
}

// after is the model after the calls in this order, or why their answers cannot come of it.
func (w *world) after(order []step) (*model, error) {
	m := w.model.clone()
	for _, made := range order {
		if err := made.apply(m, false); err != nil {
			return m, err
		}
	}
	if slices.ContainsFunc(order, func(made step) bool { return made.again }) {
		m.reclaim()
	}
	return m, nil
}

// newRandom draws by the seed that is given, or by one of its own, which it tells.
func newRandom(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if text, ok := os.LookupEnv(seedVariable); ok {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVariable)
	}
	t.Logf("%s=%d repeats this run", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, s: newStore(t), random: newRandom(t), model: newModel()}
	for _, name := range familyNames {
		w.family = append(w.family, *pipelineNamed(name))
	}
	return w
}

func modelSteps(t *testing.T) int {
	text, ok := os.LookupEnv(stepsVariable)
	if !ok {
		return defaultSteps
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, stepsVariable)
	return n
}

func (w *world) meddleSometimes() {
	if w.random.IntN(6) == 0 {
		w.meddle()
	}
}
