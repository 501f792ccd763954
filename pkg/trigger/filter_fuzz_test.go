package trigger_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// filterBound is what compiling and evaluating any filter that the API server
// admits may take, on a machine that is busy with other tests and with the race
// detector on. Without the limits of the environment it is minutes.
const filterBound = 20 * time.Second

// longestFilter is what the API server admits.
const longestFilter = 4096

// FuzzFilter gives any text as a filter.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"", "true", "false", "true ? false : true", "build.revision == 'main'", "build.ref == '' || build.ref.matches('^release')", "artifact.image.matches('^reg.*:1')",
		"artifact.digest.startsWith('sha256:') && !(build.cause in ['Manual', 'API'])",
		"pipeline.environment.lowerAscii() == 'staging' || has(build.name)",
		"[1, 2, 3].exists(x, x > size(build.name))", "{'a': true}['b']", "1 / 0 == 1", "dyn(1)", "build", "null",
		"'%s'.format([build.name]) == 'b1'", "build.name.split('').map(c, c.replace('a', 'bb')).join('-') != ''",
		"[[[[[[[[1]]]]]]]] == [[[[[[[[1]]]]]]]]", "(((((((((true)))))))))", "!!!!!!true", "\"\x00\" == ''", "\xff", "ü == 'ü'",
		"artifact.image.matches(build.name + '(.*a){1000}')", "[1,2].all(a, [1,2].all(b, [1,2].all(c, a + b + c > 0)))",
		explosive, doubled(3) + ".size() > 0",
	} {
		f.Add(seed)
	}
	decider := newDecider(f)
	f.Fuzz(func(t *testing.T, filter string) { requireAnswer(t, decider.Filters, filter) })
}

// FuzzFilterOfTheRightTypes gives filters that compile.
func FuzzFilterOfTheRightTypes(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a boolean of texts"))
	f.Add([]byte{8, 5, 0, 1, 7, 0, 7, 0, 5, 7, 0, 1, 7, 0, 7, 0})          // lists that double
	f.Add([]byte{1, 3, 3, 0, 1, 0, 1, 199, 1, 0, 1, 199, 0})               // texts that grow
	f.Add([]byte{7, 6, 0, 19, 7, 6, 0, 19, 7, 6, 0, 19, 7, 6, 0, 19, 0})   // loops in loops
	f.Add([]byte{3, 4, 2, 0, 1, 3, 1, 199, 1, 49, 2, 4, 2, 1, 5, 3, 2, 9}) // patterns that are made
	decider := newDecider(f)
	f.Fuzz(func(t *testing.T, bytes []byte) { requireAnswer(t, decider.Filters, filterFrom(bytes)) })
}

// requireAnswer wants true, false or a *FilterError of any filter, within bounds of
// time and memory, and the same answer when it is asked again.
func requireAnswer(t *testing.T, filters *trigger.Filters, filter string) {
	t.Helper()
	if len(filter) > longestFilter {
		return
	}
	pipeline := given.CdPipeline("web", given.Filter(filter))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	matched, err := filters.Matches(given.Build("b1"), given.Artifact(0), pipeline)
	require.Less(t, time.Since(began), filterBound, filter)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(filterBytes), filter)
	again, errAgain := filters.Matches(given.Build("b1"), given.Artifact(0), pipeline)
	require.Equal(t, matched, again, filter)
	if err == nil {
		require.NoError(t, errAgain, filter)
		return
	}
	require.EqualError(t, errAgain, err.Error(), filter)
	require.False(t, matched, filter)
	var filterError *trigger.FilterError
	require.ErrorAs(t, err, &filterError, filter)
	require.Contains(t, []v1alpha1.Reason{
		v1alpha1.ReasonInvalidFilter, v1alpha1.ReasonFilterFailed, v1alpha1.ReasonFilterTooExpensive,
	}, filterError.Reason, filter)
}
