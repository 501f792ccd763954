package ui

import (
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/explain"
)

var tag = regexp.MustCompile("<[^>]*>")

// shown is what somebody reads of a part of a page.
func shown(t *testing.T, part templ.Component) string {
	t.Helper()
	var html strings.Builder
	require.NoError(t, part.Render(t.Context(), &html))
	return strings.TrimSpace(tag.ReplaceAllString(html.String(), ""))
}

func TestEveryReasonIsShownInTheWordsOfExplain(t *testing.T) {
	t.Parallel()
	for _, reason := range explain.Reasons() {
		part, want := why, reason.Meaning
		switch reason.Of {
		case explain.OfDecision:
			part = whyDecided
		case explain.OfWait:
			want = "waits for " + reason.WaitsFor
		}
		want = templ.EscapeString(strings.ReplaceAll(want, "`", ""))
		require.Equal(t, want, shown(t, part(string(reason.Name), "")), reason.Name)
		require.Equal(t, want+": as Penstock said", shown(t, part(string(reason.Name), "as Penstock said")), reason.Name)
	}
}

func TestAReasonWithoutWordsIsShownByItsName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "OfTomorrow", shown(t, why("OfTomorrow", "")))
	require.Equal(t, "as Penstock said", shown(t, why("OfTomorrow", "as Penstock said")))
	require.Empty(t, shown(t, why("", "")))
}
