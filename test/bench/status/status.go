// Package status measures what `penstock server` answers from a million runs: the
// trigger view, a page of builds, two slow halves, and a thousand clients that watch.
//
// The server is a process of its own with its defaults, asked over HTTPS by service
// accounts of the API server, one request at a time. Its memory is what Linux says is
// resident.
package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/callers"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	namespace = "status"
	schema    = "penstock"
	// users share the requests, since each has a rate of its own.
	users = 20
	// readerRole is what the users have.
	readerRole = "penstock-reader"
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "status",
	Sentence: "the HTTP API over 1,000,000 runs of 20,000 pipelines, and 1,000 clients that watch",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	TriggerViewP50 float64 `json:"trigger_view_p50_ms"`
	TriggerViewP99 float64 `json:"trigger_view_p99_ms"`
	BuildsP99      float64 `json:"builds_p99_ms"`
	// HalvesSeconds is the trigger view where each half takes about half a second, and
	// SlowerHalfSeconds the slower half alone, of the same database. HalvesRatio is the
	// first by the second.
	HalvesSeconds     float64 `json:"halves_seconds"`
	SlowerHalfSeconds float64 `json:"slower_half_seconds"`
	HalvesRatio       float64 `json:"halves_ratio"`
	Watchers          int     `json:"watchers"`
	// BytesAboveIdle is the memory of the server with all watchers, above that without.
	BytesAboveIdle int64 `json:"bytes_above_idle"`
	// BehindSeconds is from the commit of an event until the last watcher has it.
	BehindSeconds float64 `json:"behind_seconds"`
	BytesIdle     int64   `json:"bytes_idle"`
	Runs          int     `json:"runs"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"runs", "trigger view p50", "p99", "builds p99", "both halves", "slower half", "watchers", "idle", "above idle", "behind"},
		{
			fmt.Sprint(r.Runs), fmt.Sprintf("%.1f ms", r.TriggerViewP50), fmt.Sprintf("%.1f ms", r.TriggerViewP99), fmt.Sprintf("%.1f ms", r.BuildsP99),
			fmt.Sprintf("%.2f s", r.HalvesSeconds), fmt.Sprintf("%.2f s", r.SlowerHalfSeconds), fmt.Sprint(r.Watchers),
			mebibytes(r.BytesIdle), mebibytes(r.BytesAboveIdle), fmt.Sprintf("%.2f s", r.BehindSeconds),
		},
	}
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{PostgresSettings: []string{"shared_buffers=512MB", "max_wal_size=4GB"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	pool, err := prepare(ctx, parts)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	rows := size{applications: at.Size(1000, 20), pipelines: 20, builds: at.Size(50, 5)}
	if err := fill(ctx, pool, rows); err != nil {
		return nil, err
	}
	at.Say("%d runs are in the tables", rows.runs())
	measured := &Result{Runs: rows.runs()}
	if err := measureAnswers(ctx, at, parts, rows, measured); err != nil {
		return nil, err
	}
	if err := measureHalves(ctx, at, parts, measured); err != nil {
		return nil, err
	}
	return measured, measureWatchers(ctx, at, parts, pool, measured)
}

// prepare installs the rights and the tables.
func prepare(ctx context.Context, parts *env.Environment) (*pgxpool.Pool, error) {
	if err := parts.InstallServer(ctx); err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx, store.Config{URL: parts.DatabaseURL, Schema: schema, MaxConns: 1}); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(parts.DatabaseURL)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["search_path"] = schema
	return pgxpool.NewWithConfig(ctx, config)
}

func measureAnswers(ctx context.Context, at *stage.Stage, parts *env.Environment, rows size, result *Result) (err error) {
	server, err := parts.StartServer(ctx, env.ServerOptions{Name: "answers"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	asking, err := callers.New(ctx, parts, server, readerRole, users)
	if err != nil {
		return err
	}
	defer asking.Close()
	requests := at.Size(1500, 100)
	views, err := asking.Timed(ctx, requests, func(i int) string {
		return fmt.Sprintf("/api/v1/namespaces/%s/applications/app-%d/status", namespace, i*7919%rows.applications+1)
	})
	if err != nil {
		return err
	}
	at.Say("asked for %d trigger views", requests)
	pages, err := asking.Timed(ctx, requests, func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf("/api/v1/namespaces/%s/builds?application=app-%d", namespace, i*7919%rows.applications+1)
		}
		return "/api/v1/namespaces/" + namespace + "/builds"
	})
	if err != nil {
		return err
	}
	at.Say("asked for %d pages of builds", requests)
	result.TriggerViewP50, result.TriggerViewP99 = measure.Milliseconds(measure.Percentile(views, 50)), measure.Milliseconds(measure.Percentile(views, 99))
	result.BuildsP99 = measure.Milliseconds(measure.Percentile(pages, 99))
	return nil
}

// replyLatency makes each half, of three statements, take half a second.
const replyLatency = 167 * time.Millisecond

// measureHalves compares the trigger view with the half that takes longer alone.
func measureHalves(ctx context.Context, at *stage.Stage, parts *env.Environment, result *Result) (err error) {
	proxy, err := fault.NewPostgres(parts.DatabaseURL)
	if err != nil {
		return err
	}
	defer proxy.Close()
	server, err := parts.StartServer(ctx, env.ServerOptions{Name: "halves", DatabaseURL: proxy.URL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	asking, err := callers.New(ctx, parts, server, readerRole, 1)
	if err != nil {
		return err
	}
	defer asking.Close()
	ci, cd, done, err := openHalves(ctx, proxy.URL)
	if err != nil {
		return err
	}
	defer done()
	path := func(int) string { return "/api/v1/namespaces/" + namespace + "/applications/app-1/status" }
	// Statements are prepared, and connections are there, before it counts.
	if _, err := asking.Timed(ctx, 20, path); err != nil {
		return err
	}
	if err := errors.Join(ci(ctx), cd(ctx)); err != nil {
		return err
	}
	proxy.SetLatency(replyLatency)
	var both, slower []time.Duration
	for range max(at.Rounds, 3) {
		whole, err := asking.Timed(ctx, 1, path)
		if err != nil {
			return err
		}
		alone, err := slowerOf(ctx, ci, cd)
		if err != nil {
			return err
		}
		both, slower = append(both, whole[0]), append(slower, alone)
	}
	result.HalvesSeconds, result.SlowerHalfSeconds = measure.Median(both).Seconds(), measure.Median(slower).Seconds()
	result.HalvesRatio = result.HalvesSeconds / result.SlowerHalfSeconds
	at.Say("asked for slow halves")
	return nil
}

// slowerOf returns how long the slower of the halves takes alone. Each is read once before
// it counts, as Callers.Timed asks once before: the pool pings a connection that was idle
// for a second before it lends it, which is one more slow reply.
func slowerOf(ctx context.Context, halves ...func(context.Context) error) (slower time.Duration, err error) {
	for _, half := range halves {
		if err := half(ctx); err != nil {
			return 0, err
		}
		began := time.Now()
		if err := half(ctx); err != nil {
			return 0, err
		}
		slower = max(slower, time.Since(began))
	}
	return slower, nil
}
