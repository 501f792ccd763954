package threshold

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const result = `{
	"efficiency": 0.97, "machine": {"cores": 2},
	"limits": [{"n": 5, "speedup": 2.05, "barrier": 9}, {"n": 20, "speedup": 4.5, "barrier": 8}],
	"approaches": [{"name": "pool", "tasks": 100, "seconds": 1}, {"name": "pool", "tasks": 10000, "seconds": 30}]
}`

func judge(t *testing.T, line string) Verdict {
	t.Helper()
	sets, err := Parse([]byte("full: {any: [" + line + "]}"))
	require.NoError(t, err)
	verdicts, err := sets["full"].Judge("any", []byte(result))
	require.NoError(t, err)
	require.Len(t, verdicts, 1)
	return verdicts[0]
}

func TestABoundIsMetOrNot(t *testing.T) {
	t.Parallel()
	for line, met := range map[string]bool{
		`{field: efficiency, at_least: 0.97}`:                                                                            true,
		`{field: efficiency, at_least: 0.98}`:                                                                            false,
		`{field: efficiency, at_most: 0.97}`:                                                                             true,
		`{field: efficiency, at_most: 0.96}`:                                                                             false,
		`{field: efficiency, below: 0.98}`:                                                                               true,
		`{field: efficiency, below: 0.97}`:                                                                               false,
		`{field: machine.cores, at_most: 2}`:                                                                             true,
		`{field: "limits[n=20].speedup", at_least: 4.2}`:                                                                 true,
		`{field: "limits[n=5].speedup", at_least: 4.2}`:                                                                  false,
		`{field: "approaches[name=pool,tasks=100].seconds", at_most: 1}`:                                                 true,
		`{field: "approaches[name=pool,tasks=10000].seconds", at_most: 1}`:                                               false,
		`{field: "limits[n=20].barrier", at_most_field: "limits[n=5].barrier"}`:                                          true,
		`{field: "limits[n=5].barrier", at_most_field: "limits[n=20].barrier"}`:                                          false,
		`{field: "approaches[name=pool,tasks=100].seconds", at_most_field: "approaches[name=pool,tasks=10000].seconds"}`: true,
	} {
		require.Equal(t, met, judge(t, line).Met, line)
	}
}

func TestAVerdictHasTheNumberAndTheThreshold(t *testing.T) {
	t.Parallel()
	verdict := judge(t, `{field: efficiency, at_least: 0.98}`)
	require.Equal(t, Verdict{Field: "efficiency", Got: 0.97, Want: "at least 0.98"}, verdict)
}

func TestWhatWasNotMeasuredIsNotMet(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		"speed", "efficiency.x", "machine", "limits", "limits[n=7].speedup", "limits[m=5].speedup",
		"approaches[name=pool,tasks=1].seconds", "limits[n=5]", "Limits", "efficiency[n=1].x",
	} {
		one := 1.0
		_, err := Thresholds{"any": {{Field: field, AtMost: &one}}}.Judge("any", []byte(result))
		require.ErrorContains(t, err, field)
	}
}

func TestAThresholdWithoutExactlyOneBoundIsRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`{field: x}`, `{field: x, at_least: 1, at_most: 2}`, `{field: x, at_last: 1}`} {
		_, err := Parse([]byte("full: {any: [" + line + "]}"))
		require.Error(t, err, line)
	}
}
