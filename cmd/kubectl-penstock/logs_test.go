package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// logged is a run in a namespace of its own, whose pods are on a node that answers with logs.
type logged struct {
	liveSettings

	home   string // the run's namespace
	number int64
	name   string // of its Workflow
	node   string
}

func newLogged(t *testing.T, with ...func(*v1alpha1.CdPipeline)) *logged {
	t.Helper()
	_, err := running()
	require.NoError(t, err)
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	l := &logged{liveSettings: liveSettings{&settingsMap{cluster: admin, namespace: env.ControllerNamespace}}, home: local.NewNamespace(t)}
	l.plan(t, with...)
	l.node = l.kubelet(t)
	return l
}

// plan makes a run whose Workflow exists.
func (l *logged) plan(t *testing.T, with ...func(*v1alpha1.CdPipeline)) {
	t.Helper()
	rows, err := store.Open(t.Context(), store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	build, ci := given.Build("b1"), given.CiPipeline(given.CI)
	build.UID, build.Namespace = l.home+"-b1", l.home
	child := given.CdPipeline("web", append(with, given.InNamespace(l.home))...)
	child.UID = given.UID(l.home + "/web")
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	decisions := trigger.Decider{Filters: filters}.Build(build, ci, given.Artifacts(1), given.Family{*child})
	_, err = rows.Plan(t.Context(), store.BuildPlan{Build: build, Artifacts: given.Artifacts(1), Decisions: decisions})
	require.NoError(t, err)
	require.NoError(t, rows.Pool().QueryRow(t.Context(), `UPDATE task SET status = 'Running', submitted_at = now() WHERE namespace = $1 RETURNING workflow_name, (inputs->>'run')::bigint`, l.home).Scan(&l.name, &l.number))
}

// kubelet is a node whose kubelet answers with the pod's name, as many lines as are asked for.
func (l *logged) kubelet(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/") // /containerLogs/NAMESPACE/POD/CONTAINER
		lines, err := strconv.Atoi(r.URL.Query().Get("tailLines"))
		if err != nil {
			lines = 3
		}
		for line := range min(lines, 3) {
			_, _ = fmt.Fprintf(w, "%s %s line %d\n", parts[3], parts[4], line+1)
		}
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.ParseInt(port, 10, 32)
	require.NoError(t, err)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: l.home}}
	require.NoError(t, l.cluster.Create(t.Context(), node))
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	require.NoError(t, l.cluster.Status().Update(t.Context(), node))
	return node.Name
}

// pod makes one of the Workflow's, on a node.
func (l *logged) pod(t *testing.T, name, node string) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: l.home, Name: name, Labels: map[string]string{workflowLabel: l.name}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "i"}, {Name: "wait", Image: "i"}}},
	}
	require.NoError(t, l.cluster.Create(t.Context(), pod))
	t.Cleanup(func() { _ = l.cluster.Delete(t.Context(), pod, client.GracePeriodSeconds(0)) })
	pod.Status.Phase = corev1.PodSucceeded
	require.NoError(t, l.cluster.Status().Update(t.Context(), pod))
}

func (l *logged) logs(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	return l.run(t, append([]string{"logs", strconv.FormatInt(l.number, 10), "-n", l.home}, args...)...)
}

func TestLogsPrintsThePodsOfARun(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	code, out, errOut := l.logs(t)
	require.Zero(t, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "argo -n "+l.home+" logs "+l.name)
	require.Contains(t, errOut, "The Workflow has no pods now")

	l.pod(t, "p1", l.node)
	code, out, errOut = l.logs(t)
	require.Zero(t, code, errOut)
	require.Equal(t, "p1 main line 1\np1 main line 2\np1 main line 3\n", out)
	code, out, errOut = l.logs(t, "--tail", "1", "-c", "wait", "--stage", "deploy")
	require.Zero(t, code, errOut)
	require.Equal(t, "p1 wait line 1\n", out)
	code, out, errOut = l.logs(t, "--follow", "--tail", "1")
	require.Zero(t, code, errOut)
	require.Equal(t, "[p1] p1 main line 1\n", out, "the Workflow is gone, so that nothing more comes")

	l.pod(t, "p2", "no-such-node")
	code, out, errOut = l.logs(t, "--tail", "1")
	require.Equal(t, exitPartial, code)
	require.Equal(t, "[p1] p1 main line 1\n", out)
	require.Contains(t, errOut, "the logs of pod p2 can't be read")
	require.Contains(t, errOut, "such as one of kwok, has none")
}

func TestLogsOfARunInAnotherClusterAreNotLookedForAtHome(t *testing.T) {
	t.Parallel()
	l := newLogged(t, given.RunsIn("eu-1"))
	l.pod(t, "namesake", l.node)
	code, out, errOut := l.logs(t)
	require.Equal(t, exitPartial, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "Workflow "+l.name+" in namespace "+l.home+" of TargetCluster eu-1, Running\n")
	require.Contains(t, errOut, "argo --context CONTEXT -n "+l.home+" logs "+l.name)
	require.Contains(t, errOut, fmt.Sprintf("run %d is in TargetCluster eu-1", l.number))
	code, out, errOut = l.run(t, "runs", "web", "-n", l.home, "-o", "wide")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "CLUSTER")
	require.Contains(t, out, "eu-1")
}

func TestLogsOfWhatHasNone(t *testing.T) {
	t.Parallel()
	l := newLogged(t)
	for sentence, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no number":              {[]string{"logs", "web"}, exitUsage, "web is no number of a run"},
		"a run that is not":      {[]string{"logs", "999999"}, exitFailed, "999999"},
		"a stage that is not":    {[]string{"logs", strconv.FormatInt(l.number, 10), "--stage", "PRE"}, exitUsage, "has the stages DEPLOY"},
		"a tail that is none":    {[]string{"logs", "1", "--tail", "-2"}, exitUsage, "--tail -2"},
		"of another's namespace": {[]string{"logs", strconv.FormatInt(l.number, 10), "--context", "gone"}, exitFailed, "gone"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := l.run(t, append(test.args, "-n", l.home)...)
			require.Equal(t, test.code, code, errOut)
			require.Empty(t, out)
			require.Contains(t, errOut, test.says)
		})
	}
	_, err := stageOf(rest.RunDetail{Run: rest.Run{ID: 7, Pipeline: "web", Stages: []rest.Stage{{Stage: "DEPLOY", State: "Held", Reason: "Turn"}}}}, "")
	require.ErrorContains(t, err, "run 7 has no Workflow yet: kubectl penstock runs web tells what it waits for")
	_, err = stageOf(rest.RunDetail{Run: rest.Run{ID: 7, Stages: []rest.Stage{{Stage: "DEPLOY", State: "Held", Reason: "Turn"}}}}, "DEPLOY")
	require.ErrorContains(t, err, "DEPLOY of run 7 has no Workflow yet: it is Held/Turn")
}
