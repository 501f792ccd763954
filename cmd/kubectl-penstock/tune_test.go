package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/test/env"
)

func TestTuneComputesFromFlagsWithoutACluster(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"the rate binds":           {[]string{"--qps", "200", "--latency", "100ms", "--connections", "20", "--memory", "512Mi", "--cores", "2"}, 0, "Batch size: 40, bound by the limit API rate. At most 200 triggers/s, which takes 20 in flight."},
		"memory binds":             {[]string{"--qps", "200", "--latency", "1s", "--memory", "30Mi"}, 0, "Batch size: 30, bound by the limit memory."},
		"what is assumed is told":  {nil, 0, "assumed: the default of KUBE_API_QPS"},
		"connections are honest":   {[]string{"--connections", "9"}, 0, "dispatch holds at most 2 of the 9 free ones whatever the batch size, since it claims and completes in groups. Where each trigger held 2, as without groups, it would be 9 ÷ 2 = 4."},
		"memory that is none":      {[]string{"--memory", "much"}, exitUsage, "--memory much: must be a quantity above 0, such as 128Mi"},
		"a rate below zero":        {[]string{"--qps", "-1"}, exitUsage, "must be above 0"},
		"an argument":              {[]string{"now"}, exitUsage, "kubectl penstock tune"},
		"a form that is not known": {[]string{"-o", "xml"}, exitUsage, "must be one of table"},
		"by name":                  {[]string{"-o", "name", "--latency", "50ms"}, 0, "5\n"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"tune", "--offline", "--kubeconfig", "/nowhere"}, test.args...), &stdout, &stderr)
			require.Equal(t, test.code, code, stderr.String())
			require.Contains(t, stdout.String()+stderr.String(), test.says)
		})
	}
}

// exposition is a controller that makes ten triggers between two looks, of 200 ms each.
func exposition(t *testing.T) string {
	t.Helper()
	var looks atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		triggers := 10 * looks.Add(1)
		text := `# TYPE penstock_trigger_limit gauge
penstock_trigger_limit{lane="cd"} 5
# TYPE penstock_triggers_in_flight gauge
penstock_triggers_in_flight{lane="cd"} 5
# TYPE penstock_trigger_queue_depth gauge
penstock_trigger_queue_depth 40
# TYPE penstock_trigger_duration_seconds histogram
penstock_trigger_duration_seconds_bucket{lane="cd",le="+Inf"} N
penstock_trigger_duration_seconds_sum{lane="cd"} SUM
penstock_trigger_duration_seconds_count{lane="cd"} N
# TYPE penstock_db_connections gauge
penstock_db_connections{state="acquired"} 3
`
		number, err := json.Marshal(triggers)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sum, err := json.Marshal(float64(triggers) * 0.2)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(strings.NewReplacer("SUM", string(sum), "N", string(number)).Replace(text)))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestTuneReadsTheLiveSettingsAndMetrics(t *testing.T) {
	t.Parallel()
	s := newSteered(t, map[string]string{"KUBE_API_QPS": "100"})
	s.pod(t, "penstock-a", corev1.EnvVar{Name: "DATABASE_MAX_CONNS", Value: "12"})
	code, out, errOut := s.run(t, "tune", "--metrics", exposition(t), "--sample", "1s", "-o", "json")
	require.Zero(t, code, errOut)
	var answer tuneAnswer
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.InDelta(t, 100, answer.Inputs.Rate, 0)
	require.Equal(t, 200*time.Millisecond, answer.Inputs.Latency)
	require.Equal(t, 9, answer.Inputs.FreeConnections)
	require.Equal(t, 40, answer.Advice.BatchSize, "100 a second × 0.2 s × 2")
	require.Equal(t, map[string]string{
		"API rate": "KUBE_API_QPS, ConfigMap penstock-settings", "calls per trigger": "Penstock's own", "latency of a create": "measured just now",
		"free connections": "DATABASE_MAX_CONNS, environment, less 3 in use", "memory per trigger": "reckoned, from the benchmark scale", "trigger lease": "TRIGGER_LEASE, default",
	}, answer.From)
	require.InDelta(t, 10, answer.Now.PerSecond, 1)
	require.InDelta(t, 2, answer.Now.Needed, 0.2, "Little's law: 10 a second × 0.2 s")
	require.Equal(t, "All slots are in use: kubectl penstock settings set CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=40", answer.Now.Verdict)
}

func TestTuneGoesOnWhereTheMetricsCantBeRead(t *testing.T) {
	t.Parallel()
	s := newSteered(t, map[string]string{"KUBE_API_QPS": "100"})
	for sentence, test := range map[string]struct {
		args []string
		says string
	}{
		"no pod":     {nil, "The metrics are not read: no pod of the controller is in namespace " + s.namespace},
		"no answer":  {[]string{"--metrics", "http://127.0.0.1:1/metrics"}, "The metrics are not read: read the controller's metrics at http://127.0.0.1:1/metrics"},
		"another's":  {[]string{"--metrics", local.Config.Host + "/version"}, "The metrics are not read"},
		"no URL":     {[]string{"--metrics", "localhost:8080"}, "must be a URL"},
		"no cluster": {[]string{"--context", "gone"}, "The settings are not read"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := s.run(t, append([]string{"tune"}, test.args...)...)
			require.Zero(t, code, errOut)
			require.Contains(t, errOut, test.says)
			require.Contains(t, out, "Batch size: ")
		})
	}
}

func TestTuneReadsARealController(t *testing.T) {
	t.Parallel()
	require.NoError(t, local.InstallController(t.Context()))
	controller, err := local.StartController(t.Context(), env.ControllerOptions{Name: "tuned", DatabaseURL: local.NewDatabase(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	s := newSteered(t, nil)
	code, out, errOut := s.run(t, "tune", "--metrics", controller.MetricsURL, "--sample", "100ms", "-o", "json")
	require.Zero(t, code, errOut)
	var answer tuneAnswer
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.InDelta(t, 5, answer.Now.Limit, 0)
	require.Positive(t, answer.Inputs.Cores)
	require.Equal(t, "Nothing waits and nothing is triggered: no limit holds triggers back now.", answer.Now.Verdict)
}

func TestWhatIsNotKnownIsAskedFor(t *testing.T) {
	t.Parallel()
	known, err := (&tuneFlags{qps: 50, calls: 1, connections: -1, memoryPerTrigger: "1Mi", sample: time.Second}).inputs()
	require.NoError(t, err)
	var asked bytes.Buffer
	require.NoError(t, known.ask(strings.NewReader("fast\n50ms\n\n256Mi\n2"), &asked))
	require.Equal(t, 50*time.Millisecond, known.Latency)
	require.Equal(t, int64(256<<20), known.FreeMemory)
	require.InDelta(t, 2, known.Cores, 0)
	require.Equal(t, -1, known.FreeConnections, "Enter leaves it open")
	require.NotContains(t, asked.String(), "Requests a second", "a flag says it")
	require.Contains(t, asked.String(), "fast is no such figure.")
	require.Equal(t, "asked", known.from[inputLatency])
	require.Empty(t, known.from[inputConnections])
}
