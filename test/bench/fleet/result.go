package fleet

import (
	"fmt"
)

// Run is one approach over so many clusters. Seconds and what follows are absent where
// Skipped says why it was not measured.
type Run struct {
	Clusters  int `json:"clusters"`
	LatencyMS int `json:"latency_ms"`
	// BlackHoles is how many of the clusters take requests and never answer.
	BlackHoles int    `json:"black_holes"`
	Approach   string `json:"approach"`

	Seconds            float64 `json:"seconds,omitempty"`
	FirstResultSeconds float64 `json:"first_result_seconds,omitempty"`
	Answered           int     `json:"answered"`
	Failed             int     `json:"failed"`
	PeakGoroutines     int     `json:"peak_goroutines,omitempty"`
	PeakConnections    int     `json:"peak_connections,omitempty"`
	RSSBytes           int64   `json:"rss_bytes,omitempty"`
	Skipped            string  `json:"skipped,omitempty"`
}

// Cache is how fast a page of 500 of 1,000 clusters is answered from what is known.
type Cache struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// BatchGet is one call for objects of one cluster by reference.
type BatchGet struct {
	N        int `json:"n"`
	InFlight int `json:"in_flight"`
	// Coalesced is true where many in one namespace may become a list.
	Coalesced    bool    `json:"coalesced"`
	IdealSeconds float64 `json:"ideal_seconds"`
	Seconds      float64 `json:"seconds"`
	// SingleSeconds is what a call for one object takes.
	SingleSeconds float64 `json:"single_seconds"`
	// Requests is how many the API server has seen.
	Requests int `json:"requests"`
}

// Health is a probe of each of 100 clusters, beside a bare fan-out of the same requests.
type Health struct {
	Seconds     float64 `json:"seconds"`
	BareSeconds float64 `json:"bare_seconds"`
	Ratio       float64 `json:"ratio"`
}

// ThreeKinds is pods, deployments and services of 100 clusters in one answer, beside the
// slowest single answer of a bare fan-out of the same requests.
type ThreeKinds struct {
	Seconds        float64 `json:"seconds"`
	SlowestSeconds float64 `json:"slowest_seconds"`
	Ratio          float64 `json:"ratio"`
}

// TwoDown is the same with two black holes.
type TwoDown struct {
	Answered int `json:"answered"`
	// GoodSeconds is when the last cluster that answers has, Ratio that by the slowest
	// single answer of ThreeKinds.
	GoodSeconds float64 `json:"good_seconds"`
	Ratio       float64 `json:"ratio"`
	// NamedErrors is how many of the others are named with an error, Seconds when the answer
	// is there, DeadlineSeconds when it must be.
	NamedErrors     int     `json:"named_errors"`
	Seconds         float64 `json:"seconds"`
	DeadlineSeconds float64 `json:"deadline_seconds"`
}

// Thousand is 1,000 clusters, 5 of them black holes.
type Thousand struct {
	// FirstProbesSeconds is from a start without connections until every cluster that
	// answers was probed, ProbesSeconds the same with connections, at ProbeParallelism.
	FirstProbesSeconds float64 `json:"first_probes_seconds"`
	ProbesSeconds      float64 `json:"probes_seconds"`
	ProbeParallelism   int     `json:"probe_parallelism"`
	// ServerIdleBytes is the server's memory before it was asked for anything,
	// ServerPeakBytes the most that it was.
	ServerIdleBytes int64 `json:"server_idle_bytes"`
	ServerPeakBytes int64 `json:"server_peak_bytes"`
	// Goroutines is the most that the server had, Connections the most that it had open, and
	// GoroutinesBound 3 for each of those and 10 for each request that may be under way.
	Goroutines      int `json:"goroutines"`
	Connections     int `json:"connections"`
	GoroutinesBound int `json:"goroutines_bound"`
	// Answered is how many clusters are in the answer.
	Answered int `json:"answered"`
}

// Result is the JSON.
type Result struct {
	Runs       []Run      `json:"runs"`
	Cache      Cache      `json:"cache"`
	BatchGet   []BatchGet `json:"batch_get"`
	Health     Health     `json:"health"`
	ThreeKinds ThreeKinds `json:"three_kinds"`
	TwoDown    TwoDown    `json:"two_down"`
	Thousand   Thousand   `json:"thousand"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"clusters", "black holes", "approach", "seconds", "first", "answered", "failed", "goroutines", "connections", "memory"}}
	for _, run := range r.Runs {
		row := []string{fmt.Sprint(run.Clusters), fmt.Sprint(run.BlackHoles), run.Approach}
		if run.Skipped != "" {
			rows = append(rows, append(row, "skipped", "", "", "", "", "", ""))
			continue
		}
		rows = append(rows, append(row, seconds(run.Seconds), seconds(run.FirstResultSeconds), fmt.Sprint(run.Answered), fmt.Sprint(run.Failed),
			fmt.Sprint(run.PeakGoroutines), fmt.Sprint(run.PeakConnections), mebibytes(run.RSSBytes)))
	}
	note := func(name, text string) { rows = append(rows, []string{"", "", name, text, "", "", "", "", "", ""}) }
	note("health of 100", seconds(r.Health.Seconds))
	note("bare fan-out", seconds(r.Health.BareSeconds))
	note("three kinds of 100", seconds(r.ThreeKinds.Seconds))
	note("slowest single answer", seconds(r.ThreeKinds.SlowestSeconds))
	note("98 of 100", seconds(r.TwoDown.GoodSeconds))
	note("with two errors", seconds(r.TwoDown.Seconds))
	note("probes of 1,000", seconds(r.Thousand.ProbesSeconds))
	note("the first of them", seconds(r.Thousand.FirstProbesSeconds))
	note("cached page p50", fmt.Sprintf("%.1f ms", r.Cache.P50))
	note("p99", fmt.Sprintf("%.1f ms", r.Cache.P99))
	note("server, idle", mebibytes(r.Thousand.ServerIdleBytes))
	note("server, peak", mebibytes(r.Thousand.ServerPeakBytes))
	note("its goroutines", fmt.Sprint(r.Thousand.Goroutines))
	note("its connections", fmt.Sprint(r.Thousand.Connections))
	for _, batch := range r.BatchGet {
		note(fmt.Sprintf("%d by reference, coalesced: %v", batch.N, batch.Coalesced), fmt.Sprintf("%.3f s", batch.Seconds))
	}
	return rows
}

func seconds(value float64) string { return fmt.Sprintf("%.2f s", value) }

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
