package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/test/env"
)

// inForce is how long a changed limit may take.
const inForce = 2 * time.Second

// set writes the ConfigMap of the settings, as an operator would; it is deleted when
// the test ends.
func (w *world) set(data map[string]string) {
	w.t.Helper()
	everywhere, err := client.New(local.Config, client.Options{})
	require.NoError(w.t, err)
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: settings.ConfigMap}, Data: data}
	err = everywhere.Create(w.t.Context(), configMap)
	if err == nil {
		w.t.Cleanup(func() { require.NoError(w.t, everywhere.Delete(context.Background(), configMap)) })
		return
	}
	require.NoError(w.t, everywhere.Update(w.t.Context(), configMap))
}

// metric returns the value of a gauge of the controller, -1 where it has none.
func (w *world) metric(ctx context.Context, name string) float64 {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.controller.MetricsURL, nil)
	require.NoError(w.t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return -1
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(w.t, err)
	family := families[name]
	if family == nil {
		return -1
	}
	return family.GetMetric()[0].GetGauge().GetValue()
}

// metricIs waits until a gauge has a value, and returns how long that took.
func (w *world) metricIs(name string, want float64) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.eventually(fmt.Sprintf("%s is %g", name, want), func(ctx context.Context) bool { return w.metric(ctx, name) == want })
	return time.Since(began)
}

func TestLimitsAreChangedWhileTheControllerRuns(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.metricIs("penstock_trigger_limit", 5)
	w.set(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "17"})
	require.Less(t, w.metricIs("penstock_trigger_limit", 17), inForce)
	w.settingsTell("SettingsApplied", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE 5 -> 17")

	w.set(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "many", "KUBE_API_QPS": "100"})
	w.settingsTell("SettingRefused", `CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE="many": must be a whole number up to 10000, or auto; the limit stays as it is`)
	require.InDelta(t, 17, w.metric(t.Context(), "penstock_trigger_limit"), 0)

	w.set(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "auto", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING": "9"})
	require.Less(t, w.metricIs("penstock_trigger_limit", 9), inForce)
	w.set(nil)
	require.Less(t, w.metricIs("penstock_trigger_limit", 5), inForce, "what the environment says")
}

// settingsTell waits for an event on the ConfigMap.
func (w *world) settingsTell(reason, note string) {
	w.t.Helper()
	w.eventually("an event "+reason+" "+note, func(ctx context.Context) bool {
		events, err := local.Kubectl(ctx, "-n", env.ControllerNamespace, "events", "--for", "configmap/"+settings.ConfigMap)
		return err == nil && strings.Contains(events, reason) && strings.Contains(events, note)
	})
}

func TestABuildTellsThatTheBacklogGateHoldsItBackUntilTheLimitIsRaised(t *testing.T) {
	w := newWorld(t, "MAX_ACTIVE_WORKFLOWS=3")
	w.create(template("for-ever", "10m"), ciPipeline("app"))
	for i := range 10 {
		w.create(child(fmt.Sprintf("cd-%02d", i), runs("for-ever")))
	}
	w.build("app-1", "app")
	w.start()
	w.succeed("app-1")
	w.kubectlTells("describe cibuild app-1", "BacklogFull", "7 of 10 runs wait for Workflows to finish: 3 are unfinished, and MAX_ACTIVE_WORKFLOWS is 3")
	w.metricIs("penstock_backlog_gate_closed", 1)
	w.metricIs("penstock_backlog_active_workflows", 3)
	require.Len(t, w.workflows(), 3)

	w.set(map[string]string{"MAX_ACTIVE_WORKFLOWS": "0"})
	w.metricIs("penstock_backlog_gate_closed", 0)
	w.rowsAre(10, "Running")
	w.kubectlTells("describe cibuild app-1", "AllTriggered", "10 of 10 runs have a Workflow")
	for _, workflow := range w.workflows() {
		require.NoError(t, w.cluster.Delete(t.Context(), &workflow))
	}
	w.rowsAre(10, "Error")
	w.judge()
}
