package monitoring_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// scrape is how far apart the values of a series are.
const scrape = time.Minute

var language = parser.NewParser(parser.Options{})

// history is series in memory, of one value for each scrape since 1970.
type history []storage.Series

// historyOf reads series as promtool does: `name{label="value"} 1 2+3x4 _x5 6x7`.
func historyOf(t *testing.T, series ...string) history {
	t.Helper()
	var all history
	for _, line := range series {
		metric, values, err := language.ParseSeriesDesc(line)
		require.NoError(t, err, line)
		var points []promql.FPoint
		for i, value := range values {
			if !value.Omitted {
				points = append(points, promql.FPoint{T: (time.Duration(i) * scrape).Milliseconds(), F: value.Value})
			}
		}
		all = append(all, promql.NewStorageSeries(promql.Series{Metric: metric, Floats: points}))
	}
	return all
}

// at is what the expression yields after so much of the history.
func (h history) at(t *testing.T, expression string, after time.Duration) promql.Vector {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: language,
	})
	defer func() { require.NoError(t, engine.Close()) }()
	query, err := engine.NewInstantQuery(t.Context(), h.queryable(), nil, expression, time.UnixMilli(after.Milliseconds()))
	require.NoError(t, err, expression)
	defer query.Close()
	vector, err := query.Exec(t.Context()).Vector()
	require.NoError(t, err, expression)
	return slices.Clone(vector)
}

func (h history) queryable() storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &selected{series: slices.DeleteFunc(slices.Clone(h), func(one storage.Series) bool {
				return !slices.Equal(matching(one.Labels(), matchers), matchers)
			})}
		},
	}}
}

// matching are those of the matchers that the labels satisfy.
func matching(metric labels.Labels, matchers []*labels.Matcher) []*labels.Matcher {
	return slices.DeleteFunc(slices.Clone(matchers), func(m *labels.Matcher) bool { return !m.Matches(metric.Get(m.Name)) })
}

// selected is a set of series, one after the other.
type selected struct {
	series []storage.Series
	next   int
}

func (s *selected) Next() bool {
	s.next++
	return s.next <= len(s.series)
}

func (s *selected) At() storage.Series              { return s.series[s.next-1] }
func (*selected) Err() error                        { return nil }
func (*selected) Warnings() annotations.Annotations { return nil }
