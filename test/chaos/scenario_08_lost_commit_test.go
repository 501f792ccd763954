package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// committed are the first queries of what the loops commit, and the share of their
// replies that is lost.
var committed = map[string]float64{
	"PlanBuild":        0.3,
	"ClaimTasks":       0.2, // each costs a lease
	"CompleteTasks":    0.5,
	"ObserveWorkflows": 0.5, // track
	"EnsurePipelines":  0.9, // follow
}

// silent is the share of the lost replies where the connection stays, so that the
// controller waits until its own timeout.
const silent = 0.03

// losses counts the replies that were lost, by query.
type losses struct {
	mu   sync.Mutex
	lost map[string]int
}

func (l *losses) judge(exchange fault.Exchange) fault.Fate {
	name := exchange.Name()
	if rand.Float64() >= committed[name] {
		return fault.Deliver
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[name]++
	if rand.Float64() < silent {
		return fault.Swallow
	}
	return fault.CutInstead
}

func (l *losses) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.lost)
}

func (l *losses) total() int {
	total := 0
	for _, count := range l.counts() {
		total += count
	}
	return total
}

// enough tells whether so many replies were lost, and at least one to each query.
func (l *losses) enough(trials int) bool {
	return l.total() >= trials && len(l.counts()) == len(committed)
}

func TestALostReplyToACommitLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	trials := sized(200, 20)
	w := newWorld(t)
	proxy := throughProxy(t, w)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(append(staged(unordered), *given.CdPipeline("latest", given.Concurrency(v1alpha1.ConcurrencyLatest))))
	w.StartWith(env.ControllerOptions{DatabaseURL: proxy.URL})
	lost := &losses{lost: map[string]int{}}
	proxy.Judge(lost.judge)
	builds := 0
	for began := time.Now(); !lost.enough(trials); builds++ {
		require.Less(t, time.Since(began), 4*world.Patience, "only these replies lost so far: %v", lost.counts())
		w.Create(given.CiBuild(fmt.Sprintf("b%d", builds)))
		w.Succeed(fmt.Sprintf("b%d", builds))
		w.Eventually("little is waiting", func(context.Context) bool { return w.Rows("Pending")+w.Rows("Submitting") < 10 })
	}
	proxy.Judge(nil)
	t.Logf("%d builds, replies lost: %v", builds, lost.counts())
	allEnded(t, w, builds)
	w.Judge()
	require.Equal(t, 5*builds, w.Count(`SELECT count(*) FROM task WHERE status = 'Succeeded' AND owner_name <> 'latest'`))
}
