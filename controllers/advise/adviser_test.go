package advise

import (
	"math"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/penstock-cd/penstock/pkg/config"
)

func gauge(name string, value float64, labels ...string) *dto.MetricFamily {
	metric := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	for i := 0; i < len(labels); i += 2 {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return &dto.MetricFamily{Name: &name, Metric: []*dto.Metric{metric}}
}

func histogram(name string, sum float64, count uint64, lane string) *dto.MetricFamily {
	label := "lane"
	return &dto.MetricFamily{Name: &name, Metric: []*dto.Metric{{
		Label: []*dto.LabelPair{{Name: &label, Value: &lane}}, Histogram: &dto.Histogram{SampleSum: &sum, SampleCount: &count},
	}}}
}

func TestTheAdviceIsComputedFromTwoLooks(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC))
	triggers := uint64(0)
	waiting := 40.0
	a := New(Config{
		Metrics: func() ([]*dto.MetricFamily, error) {
			return []*dto.MetricFamily{
				gauge("penstock_trigger_limit", 5, "lane", "cd"), gauge("penstock_triggers_in_flight", 5, "lane", "cd"), gauge("penstock_trigger_queue_depth", waiting),
				gauge("penstock_db_connections", 3, "state", "acquired"), gauge("go_sched_gomaxprocs_threads", 2),
				histogram("penstock_trigger_duration_seconds", float64(triggers)*0.2, triggers, "cd"),
			}, nil
		},
		Limits:      func() []config.InForce { return []config.InForce{{Name: "KUBE_API_QPS", Value: "100"}} },
		Environment: config.Config{TriggerLease: 20 * time.Second, DatabaseMaxConns: 10}, Clock: clock, Log: logr.Discard(),
	})
	look := func() {
		_, err := a.runOnce(t.Context())
		require.NoError(t, err)
	}
	look()
	require.Nil(t, a.Measured(), "a rate is the difference of two")
	clock.SetTime(clock.Now().Add(10 * time.Second))
	triggers = 200
	look()
	told := a.Measured()
	require.InDelta(t, 100, told.Inputs.Rate, 0)
	require.Equal(t, 200*time.Millisecond, told.Inputs.Latency)
	require.Equal(t, 7, told.Inputs.FreeConnections)
	require.InDelta(t, 2, told.Inputs.Cores, 0)
	require.InDelta(t, 20, told.Now.PerSecond, 1e-9)
	require.Equal(t, "All slots are in use: kubectl penstock settings set CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=40", told.Now.Verdict)

	waiting = math.NaN()
	look()
	require.Same(t, told, a.Measured(), "what is no number is not told")
}
