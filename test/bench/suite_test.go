package main

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/bench/atlimit"
	"github.com/penstock-cd/penstock/test/bench/clusters"
	"github.com/penstock-cd/penstock/test/bench/dashboard"
	"github.com/penstock-cd/penstock/test/bench/evolution"
	"github.com/penstock-cd/penstock/test/bench/fairness"
	"github.com/penstock-cd/penstock/test/bench/fleet"
	"github.com/penstock-cd/penstock/test/bench/latency"
	"github.com/penstock-cd/penstock/test/bench/notify"
	"github.com/penstock-cd/penstock/test/bench/queue"
	"github.com/penstock-cd/penstock/test/bench/requests"
	"github.com/penstock-cd/penstock/test/bench/retention"
	"github.com/penstock-cd/penstock/test/bench/scale"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/status"
	"github.com/penstock-cd/penstock/test/bench/straggler"
	"github.com/penstock-cd/penstock/test/bench/unthrottled"
	"github.com/penstock-cd/penstock/test/bench/wave"
	"github.com/penstock-cd/penstock/test/bench/webhooks"
)

// shapes are results of each scenario, with the elements that a full run has.
func shapes() map[string]stage.Result {
	approaches := &evolution.Result{}
	for _, tasks := range []int{100, 1000, 10_000} {
		for _, name := range []string{"naive", "waitgroup", "batch_barrier", "pool"} {
			approaches.Approaches = append(approaches.Approaches, evolution.Approach{Name: name, Tasks: tasks})
		}
	}
	return map[string]stage.Result{
		"evolution":   approaches,
		"straggler":   &straggler.Result{Limits: []straggler.Limit{{N: 5}, {N: 20}}},
		"at_limit":    &atlimit.Result{},
		"unthrottled": &unthrottled.Result{InFlight: []unthrottled.InFlight{{N: 5}, {N: 20}}},
		"latency":     &latency.Result{},
		"requests":    &requests.Result{Runs: []requests.Run{{StageSeconds: 1}, {StageSeconds: 30}}},
		"scale":       &scale.Result{},
		"queue":       &queue.Result{Rows: []queue.Row{{N: 50_000}, {N: 1_000_000}}},
		"fairness":    &fairness.Result{},
		"status":      &status.Result{},
		"fleet": &fleet.Result{
			Runs: []fleet.Run{
				{Clusters: 1000, BlackHoles: 20, Approach: "penstock", Seconds: 1, FirstResultSeconds: 1, PeakGoroutines: 1, PeakConnections: 1, RSSBytes: 1, Skipped: "why"},
				{Clusters: 1000, BlackHoles: 20, Approach: "batch_barrier", Seconds: 2},
			},
			BatchGet: []fleet.BatchGet{{N: 50}, {N: 50, Coalesced: true}},
		},
		"clusters":  &clusters.Result{Runs: []clusters.Run{{Lanes: 1}, {Lanes: 5}, {Lanes: 20}}},
		"retention": &retention.Result{TableBytes: []int64{1}},
		"notify":    &notify.Result{},
		"wave":      &wave.Result{Limits: []wave.Limit{{N: 5}, {N: 20}}},
		"webhooks":  &webhooks.Result{},
		"dashboard": &dashboard.Result{},
	}
}

func TestEveryScenarioHasItsFields(t *testing.T) {
	t.Parallel()
	fields := map[string][]string{
		"evolution": {
			"approaches", "name", "tasks", "succeeded", "success_rate", "peak_goroutines", "peak_db_connections",
			"api_429", "db_refused", "peak_rss_bytes", "seconds",
		},
		"straggler": {"limits", "n", "barrier_seconds", "pool_seconds", "speedup", "expected_speedup"},
		"at_limit": {
			"triggers", "qps", "burst", "ideal_seconds", "seconds", "efficiency", "api_writes_per_trigger",
			"db_round_trips_per_trigger", "peak_db_connections", "peak_in_flight",
		},
		"unthrottled": {"in_flight", "n", "raw_per_second", "penstock_per_second", "ratio"},
		"latency":     {"p50_ms", "p99_ms"},
		"requests":    {"runs", "stage_seconds", "runs", "requests_per_run", "by_verb"},
		"scale":       {"rss_bytes_idle", "rss_bytes_peak", "goroutines", "bytes_per_workflow", "start_seconds"},
		"queue":       {"rows", "n", "claim_p50_ms", "claim_p99_ms", "claims_per_second"},
		"fairness":    {"small_build_seconds", "fifo_seconds"},
		"status": {
			"trigger_view_p50_ms", "trigger_view_p99_ms", "builds_p99_ms", "halves_seconds", "slower_half_seconds", "halves_ratio",
			"watchers", "bytes_above_idle", "behind_seconds", "bytes_idle", "runs",
		},
		"fleet": {
			"runs", "clusters", "latency_ms", "black_holes", "approach", "seconds", "first_result_seconds", "answered", "failed",
			"peak_goroutines", "peak_connections", "rss_bytes", "skipped",
			"cache", "batch_get", "n", "in_flight", "coalesced", "ideal_seconds", "seconds", "single_seconds", "requests",
			"health", "three_kinds", "two_down", "thousand",
		},
		"clusters": {
			"triggers_per_lane", "qps", "burst", "ideal_seconds", "runs", "lanes", "triggers", "seconds", "efficiency", "cpu_share", "black_hole", "idle",
		},
		"retention": {
			"rows_pruned", "seconds", "efficiency", "efficiency_without", "ratio", "claim_p99_ms", "longest_batch_ms", "table_bytes", "growth",
		},
		"notify": {
			"with_efficiency", "without_efficiency", "ratio", "with_start_ms", "without_start_ms",
			"events", "delivered", "lost", "doubled", "posts", "refused", "rss_bytes_peak",
		},
		"wave": {
			"limits", "n", "dependents", "seconds", "barrier_seconds", "speedup", "person_build_seconds", "deployment_seconds", "probes", "doubled",
		},
		"webhooks": {"accepted_per_second", "p50_ms", "p99_ms", "lost", "doubled", "rss_bytes_peak"},
		"dashboard": {
			"pages", "with_efficiency", "without_efficiency", "ratio", "updates", "update_p99_ms", "lost_streams", "rss_bytes_peak", "cpu_share",
		},
	}
	results := shapes()
	require.Len(t, scenarios, len(fields))
	for _, scenario := range scenarios {
		text, err := marshal(results[scenario.Name], stage.Machine{Cores: 2})
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(text, &object))
		require.Contains(t, object, "machine")
		delete(object, "machine")
		require.ElementsMatch(t, fields[scenario.Name], names(object), scenario.Name)
	}
}

// names are those of an object's fields, and of the fields of what is listed in it.
func names(object map[string]any) []string {
	found := slices.Collect(maps.Keys(object))
	for _, value := range object {
		if list, ok := value.([]any); ok {
			element, _ := list[0].(map[string]any)
			found = append(found, names(element)...)
		}
	}
	return found
}

func TestEveryThresholdIsOfANumberThatIsMeasured(t *testing.T) {
	t.Parallel()
	sets, err := loadThresholds()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"gate", "full"}, slices.Collect(maps.Keys(sets)))
	results := shapes()
	for _, thresholds := range sets {
		for scenario := range thresholds {
			text, err := marshal(results[scenario], stage.Machine{})
			require.NoError(t, err)
			verdicts, err := thresholds.Judge(scenario, text)
			require.NoError(t, err)
			require.NotEmpty(t, verdicts)
		}
	}
	require.Len(t, sets["full"], len(scenarios))
}

func TestAScenarioThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	chosen, err := choose([]string{"queue", "latency"})
	require.NoError(t, err)
	require.Equal(t, "queue", chosen[0].Name)
	require.Equal(t, "latency", chosen[1].Name)
	_, err = choose([]string{"speed"})
	require.ErrorContains(t, err, "speed")
}
