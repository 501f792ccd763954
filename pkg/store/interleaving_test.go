package store_test

import (
	"math/rand/v2"
	"os"
	"strconv"
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
		got := tablesOf(t, w.s)
		first, whyNotFirst := w.after(one, other)
		second, whyNotSecond := w.after(other, one)
		switch {
		case whyNotFirst == nil && len(difference(first, got)) == 0:
			w.model = first
		case whyNotSecond == nil && len(difference(second, got)) == 0:
			w.model = second
		default:
			t.Errorf("neither %s, then %s: %v %q", one.says, other.says, whyNotFirst, difference(first, got))
			t.Fatalf("nor %s, then %s: %v %q", other.says, one.says, whyNotSecond, difference(second, got))
		}
	}
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

// after is the model after both calls in this order, or why their answers cannot
// come of it.
func (w *world) after(one, other step) (*model, error) {
	m := w.model.clone()
	for _, made := range []step{one, other} {
		if err := made.apply(m, false); err != nil {
			return m, err
		}
	}
	if one.again || other.again {
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
