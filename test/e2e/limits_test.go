package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// inForce is how long a changed limit may take.
const inForce = 2 * time.Second

// set writes the ConfigMap of the settings, as an operator would; it is deleted when
// the test ends.
func set(t *testing.T, w *world.World, data map[string]string) {
	t.Helper()
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: settings.ConfigMap}, Data: data}
	err := w.Everywhere.Create(t.Context(), configMap)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, w.Everywhere.Delete(context.Background(), configMap)) })
		return
	}
	require.NoError(t, w.Everywhere.Update(t.Context(), configMap))
}

// metricIs waits until a gauge has a value, and returns how long that took.
func metricIs(w *world.World, controller *world.Controller, name string, want float64) time.Duration {
	began := time.Now()
	w.Eventually(fmt.Sprintf("%s is %g", name, want), func(ctx context.Context) bool { return controller.Metric(ctx, name) == want })
	return time.Since(began)
}

func TestLimitsAreChangedWhileTheControllerRuns(t *testing.T) {
	w := newWorld(t)
	controller := w.Start()
	metricIs(w, controller, "penstock_trigger_limit", 5)
	set(t, w, map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "17"})
	require.Less(t, metricIs(w, controller, "penstock_trigger_limit", 17), inForce)
	settingsTell(w, "SettingsApplied", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE 5 -> 17")

	set(t, w, map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "many", "KUBE_API_QPS": "100"})
	settingsTell(w, "SettingRefused", `CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE="many": must be a whole number up to 10000, or auto; the limit stays as it is`)
	require.InDelta(t, 17, controller.Metric(t.Context(), "penstock_trigger_limit"), 0)

	set(t, w, map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "auto", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING": "9"})
	require.Less(t, metricIs(w, controller, "penstock_trigger_limit", 9), inForce)
	set(t, w, nil)
	require.Less(t, metricIs(w, controller, "penstock_trigger_limit", 5), inForce, "what the environment says")
}

func TestLimitsOfTheConfigMapHoldFromTheFirstClaimOn(t *testing.T) {
	const children, most = 30, 3
	// Narrow: the gate counts the Workflows of all namespaces. The environment sets no such limit.
	w := newNarrowWorld(t)
	set(t, w, map[string]string{"MAX_ACTIVE_WORKFLOWS": fmt.Sprint(most)})
	w.CreateFamily(given.CdPipelines(children, "cd", given.Runs("for-ever")))
	w.Create(forEver(), given.CiPipeline(given.CI), given.CiBuild("app-1"))
	controller := w.Start()
	w.Succeed("app-1")
	metricIs(w, controller, "penstock_backlog_gate_closed", 1)
	for range 3 { // with a queue that waits to be claimed
		require.NoError(t, controller.Kill())
		controller = w.Start()
		metricIs(w, controller, "penstock_backlog_active_workflows", most)
		require.Len(t, w.Workflows(), most)
	}
	set(t, w, map[string]string{"MAX_ACTIVE_WORKFLOWS": "0"})
	w.RowsAre(children, "Running")
	for _, workflow := range w.Workflows() {
		require.NoError(t, w.Cluster.Delete(t.Context(), &workflow))
	}
	w.RowsAre(children, "Error")
	w.Judge()
}

// settingsTell waits for an event on the ConfigMap.
func settingsTell(w *world.World, reason, note string) {
	w.Eventually("an event "+reason+" "+note, func(ctx context.Context) bool {
		events, err := w.Kubectl(ctx, "-n", env.ControllerNamespace, "events", "--for", "configmap/"+settings.ConfigMap)
		return err == nil && strings.Contains(events, reason) && strings.Contains(events, note)
	})
}

func TestABuildTellsThatTheBacklogGateHoldsItBackUntilTheLimitIsRaised(t *testing.T) {
	// Narrow: the gate counts the Workflows of all namespaces.
	w := newNarrowWorld(t, "MAX_ACTIVE_WORKFLOWS=3")
	w.CreateFamily(given.CdPipelines(10, "cd", given.Runs("for-ever")))
	w.Create(forEver(), given.CiPipeline(given.CI), given.CiBuild("app-1"))
	controller := w.Start()
	w.Succeed("app-1")
	w.KubectlTells("describe cibuild app-1", "BacklogFull", "7 of 10 runs wait for Workflows to finish: 3 are unfinished, and MAX_ACTIVE_WORKFLOWS is 3")
	metricIs(w, controller, "penstock_backlog_gate_closed", 1)
	metricIs(w, controller, "penstock_backlog_active_workflows", 3)
	require.Len(t, w.Workflows(), 3)

	set(t, w, map[string]string{"MAX_ACTIVE_WORKFLOWS": "0"})
	metricIs(w, controller, "penstock_backlog_gate_closed", 0)
	w.RowsAre(10, "Running")
	w.KubectlTells("describe cibuild app-1", "AllTriggered", "10 of 10 runs have a Workflow")
	for _, workflow := range w.Workflows() {
		require.NoError(t, w.Cluster.Delete(t.Context(), &workflow))
	}
	w.RowsAre(10, "Error")
	w.Judge()
}
