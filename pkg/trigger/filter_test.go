package trigger_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// filterBytes is what compiling and evaluating any filter may allocate; mostly it is
// a thousandth of that.
const filterBytes = 64 << 20

// doubled is a list of 20ⁿ times 3 elements, which costs next to nothing.
func doubled(n int) string {
	twentyfold := ".map(l, l" + strings.Repeat(" + l", 19) + ")"
	return "[['a', 'b', 'c']]" + strings.Repeat(twentyfold, n)
}

// Not parallel: allocations are counted for the whole process.
func TestAFilterThatBuildsUpMemoryIsStopped(t *testing.T) {
	filters, long := newDecider(t).Filters, strings.Repeat("x", 3000)
	for sentence, filter := range map[string]string{
		"by replacing":                 "'x'" + strings.Repeat(".replace('x', 'xxxxxxxxxx')", 40) + " == ''",
		"by replacing with long text":  "['" + long + "'].map(l, l.replace('x', 'yyyyyyyyyyyyyyyyyyyy').replace('y', l)).size() > 0",
		"by concatenating":             "[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, 'x' + build.name))))).size() > 0",
		"by joining":                   "[" + strings.Repeat("build.name,", 300) + "'x'].join('" + strings.Repeat("x", 300) + "')" + strings.Repeat(".split('').join('xxxxxxxxxxxxx')", 8) + " == ''",
		"by adding lists":              doubled(5) + ".size() > 0",
		"by joining a list for free":   doubled(5) + ".map(l, l.join('" + long + "')).size() > 0",
		"by comparing a list for free": doubled(5) + ".map(l, l == l).size() > 0",
		"by formatting":                doubled(5) + ".map(l, '%s'.format([l])).size() > 0",
	} {
		t.Run(sentence, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := filters.Matches(given.Build("b1"), given.Artifact(0), given.CdPipeline("web", given.Filter(filter)))
			runtime.ReadMemStats(&after)
			var filterError *trigger.FilterError
			require.ErrorAs(t, err, &filterError)
			require.Equal(t, v1alpha1.ReasonFilterTooExpensive, filterError.Reason, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(filterBytes))
		})
	}
}

// The limit counts, and does not time: each answer is the same on any machine.
func TestTheCostOfAFilterDecidesAndNotItsTime(t *testing.T) {
	t.Parallel()
	const nine = "[1,2,3,4,5,6,7,8,9]"
	steps := nine + ".all(a, " + nine + ".all(b, " + nine + ".all(c, [1,2,3,4,5%s].all(d, true))))"
	for filter, want := range map[string]string{
		fmt.Sprintf(steps, ""):            "web Triggered/Triggered",
		fmt.Sprintf(steps, ",6,7,8,9,10"): "web Triggered/Triggered",
		strings.ReplaceAll(explosive, "[1,2,3,4,5,6,7,8,9].all(a, ", "[1].all(a, "): "web Blocked/FilterTooExpensive",
	} {
		decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(1),
			given.FamilyOf(given.CdPipeline("web", given.Filter(filter))))
		require.Equal(t, []string{want}, told(decisions), filter)
	}
}

func TestAFilterSeesTheBranchOrTagOfTheBuild(t *testing.T) {
	t.Parallel()
	filters, build := newDecider(t).Filters, given.Build("b1")
	for ref, want := range map[string]bool{"release/1": true, "main": false, "": false} {
		build.Ref = ref
		matches, err := filters.Matches(build, given.Artifact(0), given.CdPipeline("web", given.Filter(`build.ref.startsWith("release/")`)))
		require.NoError(t, err)
		require.Equal(t, want, matches, ref)
	}
}

func TestCheckTellsWhatMatchesWouldMeet(t *testing.T) {
	t.Parallel()
	filters := newDecider(t).Filters
	require.NoError(t, filters.Check(""))
	require.NoError(t, filters.Check("true"))
	err := filters.Check("true &&")
	var filterError *trigger.FilterError
	require.ErrorAs(t, err, &filterError)
	require.Equal(t, v1alpha1.ReasonInvalidFilter, filterError.Reason)
	require.Equal(t, err.Error(), filters.Check("true &&").Error(), "the answer from the cache differs")
}

func TestFiltersAnswerManyAtOnce(t *testing.T) {
	t.Parallel()
	filters := newDecider(t).Filters
	pipeline := given.CdPipeline("web", given.Filter("artifact.image.contains('app-001')"))
	var group sync.WaitGroup
	for n := range 64 {
		group.Go(func() {
			matched, err := filters.Matches(given.Build("b1"), given.Artifact(n%4), pipeline)
			if err != nil || matched != (n%4 == 1) {
				t.Errorf("image %d: matched %t, %v", n%4, matched, err)
			}
		})
	}
	group.Wait()
}
