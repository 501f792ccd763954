package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPipelineIsHeldAndReleasedByAPerson(t *testing.T) {
	t.Parallel()
	d := newDesk(t, office, "stop", given.CdPipeline("stop-web"))
	ann, bob := d.person("ann", "penstock-holder"), d.person("bob", "penstock-holder")
	d.able("ann", "patch", "cdpipelines.penstock.dev")
	d.able("bob", "patch", "cdpipelines.penstock.dev")
	code, out, errOut := ann.run(t, "hold", "stop-web", "--reason", "stock-taking")
	require.Zero(t, code, errOut)
	require.Equal(t, "CdPipeline stop-web is held: runs are planned, and wait until kubectl penstock release stop-web -n office\n", out)
	d.built("stop-1", v1alpha1.BuildSucceeded)
	d.reaches("stop-web", "DEPLOY", "Held")
	require.Contains(t, d.pipeline("stop-web").Status.LastRun.Message, "spec.hold of the pipeline is true (by "+d.user("ann")+": stock-taking): set it to false to go on")

	code, out, errOut = bob.run(t, "hold", "stop-web")
	require.Zero(t, code, errOut)
	require.Empty(t, out)
	require.Equal(t, "note: CdPipeline stop-web is held already, by "+d.user("ann")+": stock-taking\n", errOut)
	_, err := steered.Kubectl(t.Context(), "annotate", "cdpipeline", "stop-web", "-n", office, "--overwrite", "penstock.dev/hold-by=eve")
	require.ErrorContains(t, err, "the annotation penstock.dev/hold-by of CdPipeline stop-web names who has changed spec.hold: remove it, or set it to admin")
	_, err = steered.Kubectl(t.Context(), "patch", "cdpipeline", "stop-web", "-n", office, "--type", "merge", "-p", `{"spec":{"hold":false}}`)
	require.ErrorContains(t, err, "remove it, or set it to admin", "nobody releases it in the name of another")

	code, out, errOut = bob.run(t, "release", "stop-web", "-o", "name")
	require.Zero(t, code, errOut)
	require.Equal(t, "cdpipeline/stop-web\n", out)
	released := d.pipeline("stop-web")
	require.False(t, released.Spec.Hold)
	require.Equal(t, map[string]string{v1alpha1.AnnotationHoldBy: d.user("bob")}, released.Annotations)
	d.reaches("stop-web", "DEPLOY", "Submitted")
	code, _, errOut = bob.run(t, "release", "stop-wbe")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, `did you mean "stop-web"?`)
}

// Not parallel: there is one setting FREEZE.
func TestDeploymentsAreFrozenAndUnfrozen(t *testing.T) {
	d := newDesk(t, icebox, "cold", given.CdPipeline("cold-web", given.Manual))
	d.built("cold-1", v1alpha1.BuildSucceeded)
	ann := d.person("ann", settingsRole, "penstock-triggerer", "penstock-approver")
	nobody := d.person("nobody", "penstock-triggerer")
	d.able("ann", "create", "configmaps", "-n", env.ControllerNamespace)
	d.able("ann", "create", "runrequests.penstock.dev")
	d.able("nobody", "create", "runrequests.penstock.dev")

	code, _, errOut := nobody.run(t, "freeze", "--reason", "audit", "-n", icebox)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "(the ClusterRole penstock-settings-editor has it)")
	code, _, errOut = ann.run(t, "unfreeze")
	require.Zero(t, code, errOut)
	require.Equal(t, "note: no deployments were frozen\n", errOut)
	code, _, errOut = ann.run(t, "freeze", "--reason", "audit", "--server-namespace", "nowhere")
	require.Equal(t, exitRefused, code, "the right is for one namespace: %s", errOut)

	until := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	code, out, errOut := ann.run(t, "freeze", "--reason", "audit", "-n", icebox, "--namespace", "shop", "--until", until.Format(time.RFC3339))
	require.Zero(t, code, errOut)
	frozen := fmt.Sprintf("in icebox, shop until %s: audit", until.Format(time.RFC3339))
	require.Equal(t, "deployments are frozen: "+frozen+"\n", out)
	d.set(map[string]string{"KUBE_API_BURST": "20"})
	code, _, errOut = ann.run(t, "freeze", "--reason", "another", "-n", icebox)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "deployments are frozen already ("+frozen+"): kubectl penstock unfreeze ends that, and --replace takes its place")

	d.eventually("the controller to know of the freeze", func() bool {
		told, err := steered.Kubectl(t.Context(), "-n", env.ControllerNamespace, "get", "events.events.k8s.io", "-o", "jsonpath={.items[*].note}")
		return err == nil && strings.Contains(told, "FREEZE")
	})
	code, out, errOut = ann.run(t, "trigger", "cold-web", "--build", "cold-1")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "was made of build cold-1")
	require.Contains(t, errOut, "note: stage DEPLOY of run ")
	require.Contains(t, errOut, "waits: Freeze: deployments are frozen until "+until.Format(time.RFC3339)+": audit")
	code, _, errOut = ann.run(t, "resume", "cold-web")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "waits for Freeze: to let it start all the same, say why by --reason")

	code, _, errOut = ann.run(t, "unfreeze", "-n", "pay")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "namespace pay is not frozen: the freeze is "+frozen)
	code, out, errOut = ann.run(t, "unfreeze", "-n", "icebox")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "deployments go on in icebox, and stay frozen in shop until")
	d.reaches("cold-web", "DEPLOY", "Submitted")
	require.Equal(t, "20", d.settings().Data["KUBE_API_BURST"], "no other setting is lost")
	code, out, errOut = ann.run(t, "freeze", "--reason", "{odd}", "--replace", "-n", "shop")
	require.Zero(t, code, errOut)
	require.Equal(t, "deployments are frozen: in shop: {odd}\n", out)
	code, _, errOut = ann.run(t, "unfreeze", "-n", "shop")
	require.Zero(t, code, errOut)
	require.Equal(t, map[string]string{"KUBE_API_BURST": "20"}, d.settings().Data)
	require.Equal(t, d.user("ann"), d.settings().Annotations[v1alpha1.AnnotationFreezeBy])
	d.freezesAtOnce(ann)
}

// freezesAtOnce has another setting change while a freeze is written, again and again.
func (d *desk) freezesAtOnce(ann plugin) {
	d.Helper()
	var others sync.WaitGroup
	others.Go(func() {
		for n := range 5 {
			d.set(map[string]string{"KUBE_API_QPS": fmt.Sprint(100 + n)})
		}
	})
	for range 3 {
		code, _, errOut := ann.run(d.T, "freeze", "--reason", "audit", "-n", "shop", "--replace")
		require.Zero(d, code, errOut)
	}
	others.Wait()
	require.Equal(d, map[string]string{"KUBE_API_BURST": "20", "KUBE_API_QPS": "104", "FREEZE": `{"reason":"audit","namespaces":["shop"]}`}, d.settings().Data)
	code, _, errOut := ann.run(d.T, "unfreeze")
	require.Zero(d, code, errOut)
}

func (d *desk) settings() *corev1.ConfigMap {
	d.Helper()
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: config.SettingsMap}}
	require.NoError(d, d.admin.Get(d.Context(), client.ObjectKeyFromObject(settings), settings))
	return settings
}

// set changes settings as somebody else does.
func (d *desk) set(values map[string]string) {
	d.Helper()
	d.eventually("settings to be changed", func() bool {
		settings := d.settings()
		for name, value := range values {
			settings.Data[name] = value
		}
		return d.admin.Update(d.Context(), settings) == nil
	})
}
