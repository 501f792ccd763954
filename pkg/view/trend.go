package view

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

const (
	// trendScan is how many of the newest events a trend looks at, so that it costs the same
	// whatever happened.
	trendScan = 5000
	// longestTrend is how far back it goes, in trendPoints parts.
	longestTrend = time.Hour
	trendPoints  = 30
)

// Trend is how many Workflows were created lately, and how long they were in the queue.
func (v *View) Trend(ctx context.Context, scope Scope) (rest.QueueTrend, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.SummaryTrend(ctx, dbsqlc.SummaryTrendParams{
		Scan: trendScan, Buckets: trendPoints, Longest: longestTrend.Seconds(), AllNamespaces: scope.All, Namespaces: scope.names(),
	})
	if err != nil {
		return rest.QueueTrend{}, fmt.Errorf("read the trend of the queue: %w", err)
	}
	trend := rest.QueueTrend{Points: make([]rest.TrendPoint, len(rows))}
	for i, row := range rows {
		trend.Seconds = row.Seconds
		trend.Points[i] = rest.TrendPoint{PerSecond: float64(row.Triggers) * trendPoints / row.Seconds, WaitHalf: row.Half}
	}
	return trend, nil
}
