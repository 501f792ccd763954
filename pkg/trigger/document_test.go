package trigger_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/trigger"
)

// The example of docs/concepts.md: 41 has its turn, and 42 and 43 come, in this order.
func TestTheConceptsPageTellsWhatOrderDecides(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/concepts.md")
	require.NoError(t, err)
	for _, policy := range policies {
		turns := turnsOf([]string{"b41 Active", "b42 Waiting", "b43 Waiting"})
		meanwhile := afterMoves(turns, trigger.Order(policy, place("b41"), turns))
		turns[0].State = trigger.TurnEnded
		var left []trigger.Turn
		for _, turn := range turns {
			if turn.State == trigger.TurnWaiting {
				left = append(left, turn)
			}
		}
		later := afterMoves(left, trigger.Order(policy, place("b41"), left))
		row := "| `" + string(policy) + "` | " + meanwhile + " | " + later + " |"
		require.Contains(t, string(page), strings.ReplaceAll(row, "|  |", "| |")+"\n")
	}
}

// afterMoves carries the moves out and tells, in the page's words, what becomes of each
// turn that was not active or is stopped.
func afterMoves(turns []trigger.Turn, moves []trigger.Move) string {
	var told []string
	for i, move := range moves {
		name := strings.TrimPrefix(turns[i].Build, "b")
		by := strings.TrimPrefix(move.For, "b")
		switch {
		case move.Kind == trigger.MoveTake:
			turns[i].State = trigger.TurnActive
			told = append(told, name+" runs")
		case move.Kind == trigger.MoveSupersede:
			turns[i].State = trigger.TurnSuperseded
			told = append(told, name+" is superseded by "+by)
		case move.Kind == trigger.MoveStop:
			told = append(told, name+" is stopped for "+by)
		case turns[i].State == trigger.TurnWaiting:
			told = append(told, name+" waits")
		}
	}
	return strings.Join(told, ", ")
}
