package trigger_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// filterBound is what compiling and evaluating any filter that the API server
// admits may take, on a machine that is busy with other tests and with the race
// detector on. Without the limits of the environment it is minutes, or all memory.
const filterBound = 20 * time.Second

func TestAFilterThatBuildsUpMemoryIsStopped(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	for sentence, filter := range map[string]string{
		"by replacing":     "'x'" + strings.Repeat(".replace('x', 'xxxxxxxxxx')", 40) + " == ''",
		"by concatenating": "[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, [1,2,3,4,5,6,7,8,9].map(e, 'x' + build.name))))).size() > 0",
		"by joining":       "[" + strings.Repeat("build.name,", 300) + "'x'].join('" + strings.Repeat("x", 300) + "')" + strings.Repeat(".split('').join('xxxxxxxxxxxxx')", 8) + " == ''",
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := decider.Filters.Matches(given.Build("b1"), given.Artifact(0), given.CdPipeline("web", given.Filter(filter)))
			var filterError *trigger.FilterError
			require.ErrorAs(t, err, &filterError)
			require.Equal(t, v1alpha1.ReasonFilterTooExpensive, filterError.Reason)
		})
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

// FuzzFilter gives any text as a filter: the answer is true, false or a
// *FilterError, and it comes within the bound.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"", "true", "false", "true ? false : true", "build.revision == 'main'", "artifact.image.matches('^reg.*:1')",
		"artifact.digest.startsWith('sha256:') && !(build.cause in ['Manual', 'API'])",
		"pipeline.environment.lowerAscii() == 'staging' || has(build.name)",
		"[1, 2, 3].exists(x, x > size(build.name))", "{'a': true}['b']", "1 / 0 == 1", "dyn(1)", "build", "null",
		"'%s'.format([build.name]) == 'b1'", "build.name.split('').map(c, c.replace('a', 'bb')).join('-') != ''",
		"[[[[[[[[1]]]]]]]] == [[[[[[[[1]]]]]]]]", "(((((((((true)))))))))", "!!!!!!true", "\"\x00\" == ''", "\xff", "ü == 'ü'",
		"artifact.image.matches(build.name + '(.*a){1000}')", "[1,2].all(a, [1,2].all(b, [1,2].all(c, a + b + c > 0)))", explosive,
	} {
		f.Add(seed)
	}
	filters := newDecider(f).Filters
	f.Fuzz(func(t *testing.T, filter string) {
		if len(filter) > 4096 {
			return // the API server refuses it
		}
		began := time.Now()
		matched, err := filters.Matches(given.Build("b1"), given.Artifact(0), given.CdPipeline("web", given.Filter(filter)))
		require.Less(t, time.Since(began), filterBound)
		if err != nil {
			var filterError *trigger.FilterError
			require.ErrorAs(t, err, &filterError)
			require.NotEmpty(t, filterError.Reason)
			require.False(t, matched)
		}
	})
}
