package gauge_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

const patience = 10 * time.Second

// These tests are not parallel: they share the process's metrics.

// value is what the registry has of a metric, whose only label has this value; the sum
// of a histogram; 0 where there is nothing yet.
func value(t require.TestingT, name, label string) float64 {
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && (label == "" || metric.GetLabel()[0].GetValue() == label) {
				// One of the three is not nil; the others are 0.
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetHistogram().GetSampleSum()
			}
		}
	}
	return 0
}

func TestEachAnswerThatIsAnErrorIsCounted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			panic(http.ErrAbortHandler) // no answer at all
		}
		w.WriteHeader(code)
	}))
	defer server.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: gauge.WrapTransport(transport)}
	for path, counted := range map[string]map[string]float64{
		"200": {}, "201": {}, "304": {},
		"404": {"404": 1}, "429": {"429": 1}, "503": {"503": 1}, "nothing": {"0": 1},
	} {
		codes := []string{"0", "200", "201", "304", "404", "429", "503"}
		before := map[string]float64{}
		for _, code := range codes {
			before[code] = value(t, "penstock_kube_api_errors_total", code)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+path, http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.Equal(t, path == "nothing", err != nil)
		if err == nil {
			require.NoError(t, response.Body.Close())
			require.Equal(t, path, strconv.Itoa(response.StatusCode), "the answer passes unchanged")
		}
		for _, code := range codes {
			require.InDelta(t, before[code]+counted[code], value(t, "penstock_kube_api_errors_total", code), 0, "%s: %s", path, code)
		}
	}
}

func TestWaitsAndPausesAreAddedUp(t *testing.T) {
	for name, one := range map[string]struct {
		label string
		add   func(time.Duration)
	}{
		"penstock_kube_api_wait_seconds":         {"trigger", func(d time.Duration) { gauge.APIWait("trigger", d) }},
		"penstock_kube_api_paused_seconds_total": {"", gauge.APIPause},
		"penstock_db_acquire_wait_seconds":       {"", gauge.DatabaseWait},
	} {
		before := value(t, name, one.label)
		one.add(1500 * time.Millisecond)
		require.InDelta(t, before+1.5, value(t, name, one.label), 1e-9, name)
	}
}

func TestTheQueueIsMeasuredAtOnceAndAnErrorLeavesTheFigures(t *testing.T) {
	measure(t, logr.Discard(), func(context.Context) (int64, time.Duration, error) { return 7, 90 * time.Second, nil }, func() bool {
		return value(t, "penstock_trigger_queue_depth", "") == 7 && value(t, "penstock_trigger_queue_oldest_seconds", "") == 90 && value(t, "penstock_delayed_tasks", "QuotaExceeded") == 45
	})
	logged := make(chan string, 1)
	log := funcr.New(func(_, args string) { logged <- args }, funcr.Options{})
	measure(t, log, func(context.Context) (int64, time.Duration, error) {
		return 0, 0, errors.New("too many clients already")
	}, func() bool {
		return len(logged) == 1
	})
	require.Contains(t, <-logged, "too many clients already")
	require.InDelta(t, 7, value(t, "penstock_trigger_queue_depth", ""), 0)
	require.InDelta(t, 90, value(t, "penstock_trigger_queue_oldest_seconds", ""), 0)
}

func delayed(context.Context) (map[string]int64, error) {
	return map[string]int64{"QuotaExceeded": 45}, nil
}

// measure runs a queue's gauge until the condition holds.
func measure(t *testing.T, log logr.Logger, depth func(context.Context) (int64, time.Duration, error), until func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	queue := gauge.NewQueue(depth, delayed, log)
	require.True(t, queue.NeedLeaderElection())
	go func() { ended <- queue.Start(ctx) }()
	assert.Eventually(t, until, patience, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

func TestConnectionsAreCountedByState(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), postgres.NewTestDatabase(t))
	require.NoError(t, err)
	defer pool.Close()
	first, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	second, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer second.Release()
	first.Release()
	collector := gauge.Pool{Stat: pool.Stat}
	require.NoError(t, metrics.Registry.Register(collector))
	defer metrics.Registry.Unregister(collector)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for state, want := range map[string]float64{"acquired": 1, "constructing": 0, "idle": 1} {
			require.InDelta(c, want, value(c, "penstock_db_connections", state), 0, state)
		}
	}, patience, 10*time.Millisecond)
}

func TestStartStopStress(t *testing.T) {
	lifecycle.Stress(t, func() manager.Runnable {
		return gauge.NewQueue(func(ctx context.Context) (int64, time.Duration, error) { return 1, time.Second, ctx.Err() }, delayed, logr.Discard())
	})
}
