package wave_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/wave"
)

// inStates are items in those states: D, P, B, S, F, X for skipped.
func inStates(letters string) []wave.Item {
	of := map[rune]wave.State{'D': wave.Deferred, 'P': wave.Pending, 'B': wave.Building, 'S': wave.Succeeded, 'F': wave.Failed, 'X': wave.Skipped}
	var items []wave.Item
	for i, letter := range letters {
		items = append(items, wave.Item{PipelineUID: fmt.Sprint(i), State: of[letter]})
	}
	return items
}

func TestWhatBecomesOfAWaveThatRuns(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		items  string
		limits wave.Limits
		want   string
	}{
		"as many begin as may at once":                           {"PPPP", wave.Limits{MaxParallel: 2, MaxFailures: 5}, "start 0 1"},
		"those that are under way count":                         {"BBPP", wave.Limits{MaxParallel: 3, MaxFailures: 5}, "start 2"},
		"none begins where as many are under way":                {"BBPP", wave.Limits{MaxParallel: 2, MaxFailures: 5}, ""},
		"none begins where more are under way than may by now":   {"BBPP", wave.Limits{MaxParallel: 1, MaxFailures: 5}, ""},
		"none begins of a suspended image":                       {"PP", wave.Limits{MaxParallel: 0, MaxFailures: 5}, ""},
		"what is deferred does not begin, and keeps it open":     {"DS", wave.Limits{MaxParallel: 2, MaxFailures: 5}, ""},
		"as many may fail as are allowed":                        {"FFP", wave.Limits{MaxParallel: 1, MaxFailures: 2}, "start 2, failed"},
		"one more stops it":                                      {"FFFP", wave.Limits{MaxParallel: 1, MaxFailures: 2}, "stops, failed"},
		"where none is allowed, the first stops it":              {"FP", wave.Limits{MaxParallel: 1}, "stops, failed"},
		"where none is allowed and none has failed, it goes on":  {"SP", wave.Limits{MaxParallel: 1}, "start 1"},
		"it stops also while builds are under way":               {"FFB", wave.Limits{MaxParallel: 9, MaxFailures: 1}, "stops, failed"},
		"failures that a person has let pass do not count":       {"FFFP", wave.Limits{MaxParallel: 1, MaxFailures: 2, Forgiven: 1}, "start 3, failed"},
		"after that as many may fail again":                      {"FFFP", wave.Limits{MaxParallel: 1, MaxFailures: 0, Forgiven: 2}, "stops, failed"},
		"it ends when all have ended":                            {"SXS", wave.Limits{MaxParallel: 1}, "ends"},
		"it ends as failed where some have failed":               {"SFX", wave.Limits{MaxParallel: 1, MaxFailures: 5}, "ends, failed"},
		"it ends, and does not stop, where too many have failed": {"FFF", wave.Limits{MaxParallel: 1}, "ends, failed"},
		"one of no items ends":                                   {"", wave.Limits{MaxParallel: 1}, "ends"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, told(wave.Next(inStates(c.items), c.limits)))
		})
	}
}

func told(step wave.Step) string {
	var parts []string
	if len(step.Start) > 0 {
		begun := "start"
		for _, item := range step.Start {
			begun += " " + item.PipelineUID
		}
		parts = append(parts, begun)
	}
	for name, is := range map[string]bool{"stops": step.Stops, "ends": step.Ends} {
		if is {
			parts = append(parts, name)
		}
	}
	if step.HasFailed {
		parts = append(parts, "failed")
	}
	return strings.Join(parts, ", ")
}
