// Package prune deletes history: rows of builds that are gone, events, and the CiBuilds
// that their CiPipeline keeps no longer.
package prune

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// rowsInterval is the pause between two rounds over all rows; the first comes a while
	// after the start, which has better things to do.
	rowsInterval, rowsJitter = time.Hour, 0.1
	// leastPause is the least pause between two pages; else it is rest times what the page
	// took, so that the database is left to others for three quarters of the time.
	leastPause, rest = 20 * time.Millisecond, 3
)

var rowsPruned = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "penstock_pruned_rows_total",
	Help: "Rows of history that were deleted, by the table of the page that they were found in.",
}, []string{"table"})

func init() { metrics.Registry.MustRegister(rowsPruned) }

// History is the rows.
type History interface {
	// Prune deletes what is older than the age from the page of a part that begins after an
	// id.
	Prune(ctx context.Context, part store.History, after int64, age time.Duration) (store.PrunedPage, error)
}

// RowsConfig is what Rows needs.
type RowsConfig struct {
	History History
	// Retention is how old rows may become; 0 keeps them.
	Retention time.Duration
	// Interval is the pause between two rounds. Defaults to an hour.
	Interval time.Duration
	Log      logr.Logger
}

// Rows deletes rows that are older than the retention, page by page, and leaves the
// database to others for at least three quarters of the time.
type Rows struct {
	*loop.Loop
	history   History
	retention atomic.Int64
	changed   loop.Signal
	log       logr.Logger
}

// NewRows returns a loop that does nothing until it is started.
func NewRows(config RowsConfig) *Rows {
	if config.Interval == 0 {
		config.Interval = rowsInterval
	}
	r := &Rows{history: config.History, log: config.Log}
	r.retention.Store(int64(config.Retention))
	r.Loop = loop.New(loop.Config{
		Name: "prune", Run: r.runOnce, Signal: &r.changed, Interval: config.Interval, Retry: time.Minute, Jitter: rowsJitter, Log: config.Log,
	})
	return r
}

// SetRetention changes how old rows may become; 0 keeps them.
func (r *Rows) SetRetention(age time.Duration) {
	if r.retention.Swap(int64(age)) != int64(age) {
		r.changed.Notify()
	}
}

// runOnce goes over every part once.
func (r *Rows) runOnce(ctx context.Context) (time.Duration, error) {
	for _, part := range store.Histories() {
		age := ageOf(part, time.Duration(r.retention.Load()))
		if age <= 0 {
			continue
		}
		if err := r.prune(ctx, part, age); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// ageOf is how old the rows of a part may become; 0 keeps them.
func ageOf(part store.History, retention time.Duration) time.Duration {
	if part == store.HistoryDeliveries {
		return store.DeliveriesAge
	}
	return retention
}

// prune goes over one part, until its rows are younger than the age.
func (r *Rows) prune(ctx context.Context, part store.History, age time.Duration) error {
	var deleted int64
	for page := (store.PrunedPage{More: true}); page.More; {
		began := time.Now()
		var err error
		if page, err = r.history.Prune(ctx, part, page.Last, age); err != nil {
			return err
		}
		deleted += page.Deleted
		rowsPruned.WithLabelValues(string(part)).Add(float64(page.Deleted))
		if page.More && !pause.For(ctx, max(rest*time.Since(began), leastPause)) {
			return ctx.Err()
		}
	}
	if deleted > 0 {
		r.log.Info("pruned history", "table", string(part), "rows", deleted, "olderThan", age.String())
	}
	return nil
}
