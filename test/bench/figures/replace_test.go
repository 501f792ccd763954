package figures

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func results(t *testing.T) func(string) (result, error) {
	t.Helper()
	var atLimit result
	require.NoError(t, json.Unmarshal([]byte(`{"efficiency": 0.9812, "peak": 104857600, "limits": [{"n": 5, "speedup": 2.08}],
		"machine": {"cores": 2, "os": "linux/amd64", "go": "go1.26.8", "commit": "abc", "date": "2026-11-24T03:00:00Z"}}`), &atLimit))
	return func(scenario string) (result, error) {
		if scenario == "at_limit" {
			return atLimit, nil
		}
		return nil, errNotMeasured
	}
}

func TestFiguresAreThoseThatWereMeasured(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct{ comment, want string }{
		"a number":               {"at_limit efficiency %.2f", "0.98"},
		"a number of a list":     {"at_limit limits[n=5].speedup %.1f", "2.1"},
		"a number in other unit": {"at_limit peak /1048576 %.0f", "100"},
		"a percentage":           {"at_limit efficiency *100 %.1f", "98.1"},
		"the machine":            {"at_limit machine", "2 cores, linux/amd64, go1.26.8, commit abc, 2026-11-24"},
		"what was not measured":  {"queue claims %.0f", "old"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			before := "| a | <!-- figure: " + tc.comment + " -->old<!-- /figure --> |"
			after, missing, err := replace(before, results(t))
			require.NoError(t, err)
			require.Equal(t, "| a | <!-- figure: "+tc.comment+" -->"+tc.want+"<!-- /figure --> |", after)
			require.Equal(t, tc.want == "old", len(missing) == 1 && missing[0] == "queue")
			again, _, err := replace(after, results(t))
			require.NoError(t, err)
			require.Equal(t, after, again)
		})
	}
}

func TestAFigureThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for sentence, text := range map[string]string{
		"a field that there is not": "<!-- figure: at_limit speed %.1f -->1<!-- /figure -->",
		"a comment that is none":    "<!-- figure: at_limit -->1<!-- /figure -->",
		"a format that is none":     "<!-- figure: at_limit efficiency %s -->1<!-- /figure -->",
		"an end that is missing":    "<!-- figure: at_limit efficiency %.1f -->1",
		"a beginning with a typo":   "<!-- figures: at_limit efficiency %.1f -->1<!-- /figure -->",
	} {
		_, _, err := replace(text, results(t))
		require.Error(t, err, sentence)
	}
}

// A figure that no result can have would be found out only after an hour of measuring.
func TestTheDocumentsAskForFiguresThatThereCanBe(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		_, _, err = replace(string(text), func(string) (result, error) { return nil, errNotMeasured })
		require.NoError(t, err, page)
		for _, found := range figure.FindAllStringSubmatch(string(text), -1) {
			require.True(t, number.MatchString(found[1]) || ofWhat.MatchString(found[1]), "%s: %s", page, found[1])
		}
	}
}
