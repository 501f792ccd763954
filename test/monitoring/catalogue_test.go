package monitoring_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// metricsFile tells of every metric; a test of cmd/penstock compares it with what the
// wired controller registers.
const metricsFile = "../../docs/metrics.md"

// documented is a metric as metricsFile has it.
type documented struct {
	kind   string
	labels []string
}

var metricRow = regexp.MustCompile("^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|")

// catalogue returns what metricsFile tells of, by the names that series have: a
// histogram has three.
func catalogue(t *testing.T) map[string]documented {
	t.Helper()
	series := map[string]documented{}
	for line := range strings.Lines(string(read(t, metricsFile))) {
		cells := metricRow.FindStringSubmatch(line)
		if cells == nil {
			continue
		}
		names := strings.FieldsFunc(cells[3], func(r rune) bool { return strings.ContainsRune(" `,", r) })
		one := documented{cells[2], names}
		if one.kind != "histogram" {
			series[cells[1]] = one
			continue
		}
		series[cells[1]+"_sum"], series[cells[1]+"_count"] = documented{"counter", names}, documented{"counter", names}
		series[cells[1]+"_bucket"] = documented{"counter", append(slices.Clone(names), "le")}
	}
	require.NotEmpty(t, series)
	return series
}

// requireKnown wants each metric and label of an expression to be in the catalogue,
// and rates to be of counters alone.
func requireKnown(t *testing.T, series map[string]documented, expression string) {
	t.Helper()
	parsed, err := language.ParseExpr(expression)
	require.NoError(t, err, expression)
	var used []string
	parser.Inspect(parsed, func(node parser.Node, path []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		one, exists := series[selector.Name]
		require.True(t, exists, "%q of %s", selector.Name, expression)
		used = append(used, one.labels...)
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != model.MetricNameLabel {
				require.Contains(t, one.labels, matcher.Name, expression)
			}
		}
		require.Equal(t, one.kind == "counter", isRate(path), "%s of %s", selector.Name, expression)
		return nil
	})
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if aggregate, ok := node.(*parser.AggregateExpr); ok {
			require.Subset(t, used, aggregate.Grouping, expression)
		}
		return nil
	})
}

// isRate tells whether what is above a selector makes growth of it: rate, increase,
// or a comparison of a counter with itself some time ago.
func isRate(path []parser.Node) bool {
	for _, node := range path {
		switch above := node.(type) {
		case *parser.Call:
			if slices.Contains([]string{"rate", "increase"}, above.Func.Name) {
				return true
			}
		case *parser.BinaryExpr:
			if above.Op == parser.LUNLESS && strings.Contains(above.RHS.String(), "offset") {
				return true
			}
		}
	}
	return false
}

func TestAlertsUseMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	series := catalogue(t)
	for _, rule := range alerts(t) {
		requireKnown(t, series, rule.Expr)
	}
}
