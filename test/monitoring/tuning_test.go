package monitoring_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/config"
)

var (
	metricNamed   = regexp.MustCompile(`penstock_[a-z_]+|leader_election_[a-z_]+`)
	described     = regexp.MustCompile(`^([A-Z_]+) `)
	comment       = regexp.MustCompile(`<!--.*?-->`)
	variableNamed = regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)+)`")
)

func TestTheGuideNamesMetricsAndVariablesThatThereAre(t *testing.T) {
	t.Parallel()
	guide := comment.ReplaceAllString(string(read(t, runbookFile)), "")
	requireAmong(t, firstOf(metricRow, string(read(t, metricsFile))), metricNamed.FindAllString(guide, -1))
	requireAmong(t, firstOf(described, config.Describe()), firstOf(variableNamed, guide))
}

// requireAmong wants some names, and all of them to be known.
func requireAmong(t *testing.T, known, names []string) {
	t.Helper()
	require.NotEmpty(t, names)
	for _, name := range names {
		require.Contains(t, known, name)
	}
}

// firstOf is the first group of each match, line by line.
func firstOf(form *regexp.Regexp, text string) (found []string) {
	for line := range strings.Lines(text) {
		for _, match := range form.FindAllStringSubmatch(line, -1) {
			found = append(found, match[1])
		}
	}
	return found
}
