package webhooks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFifthOfTheDeliveriesIsRepeated(t *testing.T) {
	t.Parallel()
	sends := deliveries(1000)
	require.Len(t, sends, 1000)
	require.Equal(t, sends, deliveries(1000), "always the same")
	unique := map[string]string{}
	for _, one := range sends {
		if body, known := unique[one.ID]; known {
			require.Equal(t, body, one.Body)
		}
		unique[one.ID] = one.Body
	}
	require.Len(t, unique, 800)
}

func TestWhatIsLostOrDoubledIsCounted(t *testing.T) {
	t.Parallel()
	accepted := func(numbers ...string) map[string]map[string]bool {
		all := map[string]map[string]bool{}
		for _, number := range numbers {
			all["w-"+number] = map[string]bool{number: true}
		}
		return all
	}
	done := func(number, outcome string) row {
		return row{id: "w-" + number, number: number, status: "Done", outcome: outcome, body: "b" + number}
	}
	for sentence, c := range map[string]struct {
		kept          kept
		numbers       map[string]map[string]bool
		lost, doubled int
	}{
		"nothing is":                            {kept{rows: []row{done("1", "Built"), done("2", "NoMatch")}, perNumber: map[string]int{"1": 1}}, accepted("1", "2"), 0, 0},
		"one that was accepted is not kept":     {kept{rows: []row{done("1", "NoMatch")}}, accepted("1", "2"), 1, 0},
		"one is not worked off":                 {kept{rows: []row{{id: "w-1", number: "1", status: "Received", body: "b"}}}, accepted("1"), 1, 0},
		"one is not built":                      {kept{rows: []row{done("1", "Built")}}, accepted("1"), 1, 0},
		"one is built twice":                    {kept{rows: []row{done("1", "Built")}, perNumber: map[string]int{"1": 2}}, accepted("1"), 0, 1},
		"one is kept twice":                     {kept{rows: []row{done("1", "NoMatch"), {id: "w-1", number: "2", status: "Done", body: "b"}}}, accepted("1"), 0, 1},
		"the body of one is kept twice":         {kept{rows: []row{done("1", "NoMatch"), {id: "w-2", number: "2", status: "Done", body: "b1"}}}, accepted("1", "2"), 0, 1},
		"one is accepted under another, as two": {kept{rows: []row{done("1", "NoMatch"), done("2", "NoMatch")}}, map[string]map[string]bool{"w-1": {"1": true, "2": true}}, 1, 1},
	} {
		require.Equal(t, c.lost, c.kept.lost(c.numbers), sentence)
		require.Equal(t, c.doubled, c.kept.doubled(c.numbers), sentence)
	}
}

func TestTheTimeWhilePostgresIsAwayDoesNotCount(t *testing.T) {
	t.Parallel()
	at := func(began, ended int) span {
		return span{time.Time{}.Add(time.Duration(began) * time.Second), time.Time{}.Add(time.Duration(ended) * time.Second)}
	}
	came := &sent{accepted: 12, all: at(0, 10), down: at(4, 8), requests: []span{at(0, 1), at(1, 4), at(3, 5), at(7, 9), at(8, 10)}}
	got := came.result()
	require.InDelta(t, 2.0, got.AcceptedPerSecond, 0.001)
	require.InDelta(t, 2000, got.P50, 0.001)
	require.InDelta(t, 3000, got.P99, 0.001)
}
