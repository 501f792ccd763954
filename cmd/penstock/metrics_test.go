package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// promised are the metrics that dashboards of others are built on: their names stay.
var promised = []string{
	"penstock_triggers_total", "penstock_triggers_in_flight", "penstock_trigger_limit",
	"penstock_trigger_queue_depth", "penstock_trigger_queue_oldest_seconds",
	"penstock_trigger_latency_seconds", "penstock_trigger_duration_seconds",
	"penstock_batch_size", "penstock_batch_duration_seconds",
	"penstock_kube_api_wait_seconds", "penstock_kube_api_errors_total",
	"penstock_db_connections", "penstock_db_acquire_wait_seconds",
	"penstock_decisions_total", "penstock_panics_total",
}

// unbounded are labels of which a metric would have one series for every object.
var unbounded = []string{
	"namespace", "pipeline", "build", "application", "environment", "image", "digest", "revision",
	"workflow", "runner", "name", "uid", "id", "worker", "message", "error", "path", "url",
}

// One test, since a process is wired once.
func TestTheMetricsOfTheWiredController(t *testing.T) {
	wire(t)
	described := describe(t)
	gathered := gather(t, described)

	t.Run("are of known libraries or have our prefix", func(t *testing.T) {
		for name := range described {
			require.NotEqual(t, strings.HasPrefix(name, "penstock_"), libraries.MatchString(name), name)
		}
	})
	t.Run("have the names that are promised", func(t *testing.T) {
		require.Subset(t, slices.Collect(maps.Keys(gathered)), promised)
	})
	t.Run("have names, units and help as Prometheus wants them", func(t *testing.T) {
		problems, err := promlint.NewWithMetricFamilies(slices.Collect(maps.Values(gathered))).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
	})
	t.Run("have labels of few values, which docs/metrics.md lists", func(t *testing.T) {
		used := map[string]string{}
		for name := range gathered {
			for _, label := range described[name].labels {
				require.NotContains(t, unbounded, label, name)
				used["| `"+label+"` |"] = name
			}
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(used)), documented(t, regexp.MustCompile("^\\| `[a-z]+` \\|")))
	})
	t.Run("are those that docs/metrics.md tells of", func(t *testing.T) {
		want := make([]string, 0, len(gathered))
		for name, family := range gathered {
			want = append(want, row(family, described[name]))
		}
		slices.Sort(want)
		got := documented(t, regexp.MustCompile("^\\| `penstock_.*"))
		require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
	})
	t.Run("include those of libraries that docs/metrics.md tells of", func(t *testing.T) {
		var rows []string
		for name, one := range described {
			rows = append(rows, "`"+name+"` "+strings.Join(one.labels, ", "))
		}
		for _, line := range documented(t, regexp.MustCompile("^\\| `(go|process|controller|leader)_.*")) {
			cells := strings.Split(line, "|")
			name, labels := strings.TrimSpace(cells[1]), strings.Trim(cells[3], " `")
			require.Contains(t, rows, name+" "+labels)
		}
	})
}

// row is a metric as a line of the table in the documents.
func row(family *dto.MetricFamily, one description) string {
	labels := make([]string, len(one.labels))
	for i, label := range one.labels {
		labels[i] = "`" + label + "`"
	}
	return "| `" + family.GetName() + "` | " + strings.ToLower(family.GetType().String()) + " | " +
		strings.Join(labels, ", ") + " | " + family.GetHelp() + " |"
}

// documented is what the form finds in the lines of docs/metrics.md.
func documented(t *testing.T, form *regexp.Regexp) (found []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if match := form.FindString(strings.TrimSuffix(line, "\n")); match != "" {
			found = append(found, match)
		}
	}
	require.NotEmpty(t, found, form)
	return found
}
