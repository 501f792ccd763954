package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// seedVariable repeats a random run, which prints its seed:
//
//	CHAOS_SEED=7 make chaos TEST_FLAGS='-run AtRandom'
const seedVariable = "CHAOS_SEED"

func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text, ok := os.LookupEnv(seedVariable); ok {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVariable)
	}
	t.Logf("%s=%d repeats this run", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var policies = []v1alpha1.ConcurrencyPolicy{
	v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace, v1alpha1.ConcurrencyAllow,
}

// tree is pipelines below CI: chains, stages, each policy, one run for each artifact or for
// all of them.
type tree struct {
	given.Family
	// complete are the pipelines that run for every build: no build can overtake another
	// there, or none need wait.
	complete []string
	// longest is how many stages the longest chain has.
	longest int
}

const (
	treeSize = 7
	// mostStages bounds a chain, so that a build comes to its end.
	mostStages = 5
)

func grow(random *rand.Rand) *tree {
	grown := &tree{}
	stages := map[string]int{given.CI: 0} // of the chain down to it
	inOrder := map[string]bool{given.CI: true}
	complete := map[string]bool{given.CI: true}
	parents := []string{given.CI}
	for i := range treeSize {
		name, parent := fmt.Sprintf("cd-%d", i), parents[random.IntN(len(parents))]
		policy := policies[random.IntN(len(policies))]
		pipeline := given.CdPipeline(name, given.Concurrency(policy), sometimes(random, given.WithPre), sometimes(random, given.WithPost),
			sometimes(random, given.AllArtifacts))
		if parent != given.CI {
			given.BelowCd(parent)(pipeline)
		}
		inOrder[name] = inOrder[parent] && policy == v1alpha1.ConcurrencyQueue
		complete[name] = inOrder[name] || complete[parent] && policy == v1alpha1.ConcurrencyAllow
		if complete[name] {
			grown.complete = append(grown.complete, name)
		}
		stages[name] = stages[parent] + len(trigger.Stages(pipeline, ""))
		grown.longest = max(grown.longest, stages[name])
		if stages[name] < mostStages {
			parents = append(parents, name)
		}
		grown.Family = append(grown.Family, *pipeline)
	}
	return grown
}

// sometimes is the change, or none.
func sometimes(random *rand.Rand, change func(*v1alpha1.CdPipeline)) func(*v1alpha1.CdPipeline) {
	if random.IntN(3) == 0 {
		return change
	}
	return func(*v1alpha1.CdPipeline) {}
}

// someArtifacts are up to three images, of which one may have a second tag.
func someArtifacts(random *rand.Rand) []v1alpha1.Artifact {
	artifacts := given.Artifacts(1 + random.IntN(3))
	if random.IntN(2) == 0 {
		again := artifacts[0]
		again.Image = trigger.Repository(again.Image) + ":latest"
		artifacts = append(artifacts, again)
	}
	return artifacts
}
