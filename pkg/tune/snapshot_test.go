package tune

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const exposed = `# TYPE penstock_trigger_limit gauge
penstock_trigger_limit{lane="cd"} 20
penstock_trigger_limit{lane="ci"} 5
# TYPE penstock_triggers_in_flight gauge
penstock_triggers_in_flight{lane="cd"} 7
# TYPE penstock_trigger_queue_depth gauge
penstock_trigger_queue_depth 31
# TYPE penstock_trigger_duration_seconds histogram
penstock_trigger_duration_seconds_bucket{lane="cd",le="+Inf"} 100
penstock_trigger_duration_seconds_sum{lane="cd"} 30
penstock_trigger_duration_seconds_count{lane="cd"} 100
# TYPE penstock_kube_api_wait_seconds histogram
penstock_kube_api_wait_seconds_bucket{class="trigger",le="+Inf"} 100
penstock_kube_api_wait_seconds_sum{class="trigger"} 25
penstock_kube_api_wait_seconds_count{class="trigger"} 100
# TYPE penstock_backlog_gate_closed gauge
penstock_backlog_gate_closed{lane="cd"} 1
# TYPE penstock_db_connections gauge
penstock_db_connections{state="acquired"} 3
penstock_db_connections{state="idle"} 4
# TYPE go_gc_gomemlimit_bytes gauge
go_gc_gomemlimit_bytes 9.223372036854776e+18
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.048576e+08
# TYPE go_sched_gomaxprocs_threads gauge
go_sched_gomaxprocs_threads 2
`

func TestMetricsAreReadOfTheLaneOfDeployments(t *testing.T) {
	t.Parallel()
	s, err := Read(strings.NewReader(exposed))
	require.NoError(t, err)
	require.Equal(t, Snapshot{
		Limit: 20, InFlight: 7, Waiting: 31, Triggers: 100, Duration: 30, TokenWaits: 100, TokenWait: 25, Connections: 3, GateClosed: true,
		Memory: 100 << 20, Cores: 2, Lanes: map[string]LaneLimit{"cd": {Limit: 20, GateClosed: true}, "ci": {Limit: 5}},
	}, s)
	require.Equal(t, 50*time.Millisecond, s.Latency(Snapshot{}), "300 ms less 250 ms of waiting for a token")
	require.Zero(t, s.Latency(s), "nothing was triggered since")
}

func TestWhatIsNotTheControllersMetricsIsRefused(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct{ text, says string }{
		"another program's": {"go_goroutines 7\n", "are these the metrics of Penstock's controller?"},
		"no metrics":        {"<html>", "parse metrics"},
		"nothing":           {"", "are these the metrics of Penstock's controller?"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := Read(strings.NewReader(test.text))
			require.ErrorContains(t, err, test.says)
		})
	}
}
