package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scenarios are the tests of test/chaos.
func scenarios(t *testing.T) []string {
	t.Helper()
	tests, err := list("..")
	require.NoError(t, err)
	require.Greater(t, len(tests), 40)
	return tests
}

func TestEveryTestIsInExactlyOneShard(t *testing.T) {
	t.Parallel()
	tests := scenarios(t)
	for shards := 1; shards <= 7; shards++ {
		parts := split(tests, shards)
		require.Len(t, parts, shards)
		require.ElementsMatch(t, tests, slices.Concat(parts...), "of %d shards", shards)
		require.Equal(t, parts, split(tests, shards), "the split is not the same again")
	}
}

func TestShardsTakeAboutTheSameTime(t *testing.T) {
	t.Parallel()
	const shards = 4
	var sums []int
	for _, part := range split(scenarios(t), shards) {
		sum := 0
		for _, test := range part {
			sum += cost(test)
		}
		sums = append(sums, sum)
	}
	require.Less(t, slices.Max(sums), 2*slices.Min(sums), fmt.Sprint(sums))
}

func TestCostsAreOfTestsThatThereAre(t *testing.T) {
	t.Parallel()
	require.Subset(t, scenarios(t), slices.Collect(maps.Keys(costs)))
}

func TestAShardIsWhichOfHowMany(t *testing.T) {
	t.Parallel()
	which, shards, err := parse("2/4")
	require.NoError(t, err)
	require.Equal(t, []int{2, 4}, []int{which, shards})
	for _, text := range []string{"", "2", "0/4", "5/4", "2/4/6", "two/4", "-1/4", "2/4x"} {
		_, _, err := parse(text)
		require.ErrorContains(t, err, "such as 2/4", text)
	}
	require.ErrorContains(t, run(nil), "one argument")
	require.ErrorContains(t, run([]string{"2/4"}), "the repository's root")
}
