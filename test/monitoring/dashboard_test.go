package monitoring_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

const dashboardFile = "../../config/monitoring/dashboard.json"

// panel is what a test needs of a panel of Grafana.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	Targets     []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
		Datasource   struct{ UID string }
	} `json:"targets"`
	FieldConfig struct{ Defaults struct{ Unit string } } `json:"fieldConfig"`
}

// panels are those of the dashboard, without the headings of its rows.
func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(read(t, dashboardFile), &dashboard))
	all := slices.DeleteFunc(dashboard.Panels, func(p panel) bool { return p.Type == "row" })
	require.NotEmpty(t, all)
	return all
}

// expressionOf puts an interval where Grafana does.
func expressionOf(expr string) string { return strings.ReplaceAll(expr, "$__rate_interval", "5m") }

func TestTheDashboardUsesMetricsThatThereAreAndShowsAllOfOurs(t *testing.T) {
	t.Parallel()
	series := catalogue(t)
	unseen := maps.Clone(series)
	maps.DeleteFunc(unseen, func(name string, _ documented) bool { return !strings.HasPrefix(name, "penstock_") })
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			requireKnown(t, series, expressionOf(target.Expr))
			for _, name := range namesIn(t, target.Expr) {
				// One series of a histogram stands for all three.
				base := regexp.MustCompile("_(bucket|sum|count)$").ReplaceAllString(name, "")
				maps.DeleteFunc(unseen, func(other string, _ documented) bool { return strings.HasPrefix(other, base) })
			}
		}
	}
	require.Empty(t, slices.Collect(maps.Keys(unseen)))
}

func namesIn(t *testing.T, expr string) (names []string) {
	t.Helper()
	parsed, err := language.ParseExpr(expressionOf(expr))
	require.NoError(t, err, expr)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			names = append(names, selector.Name)
		}
		return nil
	})
	return names
}

func TestEachPanelSaysWhatItShows(t *testing.T) {
	t.Parallel()
	ids := map[int]string{}
	for _, panel := range panels(t) {
		require.NotEmpty(t, panel.Title)
		require.NotEmpty(t, panel.Description, panel.Title)
		require.NotEmpty(t, panel.FieldConfig.Defaults.Unit, panel.Title)
		require.Equal(t, "${datasource}", panel.Datasource.UID, panel.Title)
		require.NotEmpty(t, panel.Targets, panel.Title)
		require.Empty(t, ids[panel.ID], panel.Title)
		ids[panel.ID] = panel.Title
		for _, target := range panel.Targets {
			require.Equal(t, "${datasource}", target.Datasource.UID, panel.Title)
			for _, label := range legendLabels.FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Contains(t, target.Expr, label[1], "the legend of %s has no such label", panel.Title)
			}
		}
	}
}

var legendLabels = regexp.MustCompile(`{{(\w+)}}`)

func TestPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	const columns = 24
	taken := map[[2]int]string{}
	for _, panel := range panels(t) {
		grid := panel.GridPos
		require.LessOrEqual(t, grid.X+grid.W, columns, panel.Title)
		for x := grid.X; x < grid.X+grid.W; x++ {
			for y := grid.Y; y < grid.Y+grid.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], panel.Title)
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}
