package ui

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

func TestATrendIsDrawnAndSaidInWords(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		trend rest.QueueTrend
		want  []spark
	}{
		"nothing was created": {
			rest.QueueTrend{Seconds: 3600, Points: make([]rest.TrendPoint, 2)},
			[]spark{{"Workflows created", "none in the last hour", []int{0, 0}}, {"Wait in the queue (median)", "none in the last hour", []int{0, 0}}},
		},
		"the highest bar is as high as there is room, and the smallest is seen": {
			rest.QueueTrend{Seconds: 3600, Points: []rest.TrendPoint{{PerSecond: 50, WaitHalf: 75}, {}, {PerSecond: 0.1, WaitHalf: 0.25}}},
			[]spark{
				{"Workflows created", "6/min now, at most 50/s in the last hour", []int{36, 0, 1}},
				{"Wait in the queue (median)", "250 ms now, at most 1 min 15 s in the last hour", []int{36, 0, 1}},
			},
		},
		"where much happens it is a shorter time": {
			rest.QueueTrend{Seconds: 90, Points: []rest.TrendPoint{{PerSecond: 12.5, WaitHalf: 2}}},
			[]spark{{"Workflows created", "12.5/s now, at most 12.5/s in the last 1 min 30 s", []int{36}}, {"Wait in the queue (median)", "2.0 s now, at most 2.0 s in the last 1 min 30 s", []int{36}}},
		},
	} {
		require.Equal(t, test.want, sparks(test.trend), sentence)
	}
}
