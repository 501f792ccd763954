package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/test/env"
)

// findingsOf reads what doctor -o json prints, by check.
func findingsOf(t *testing.T, out string) map[string]doctor.Finding {
	t.Helper()
	var answer struct {
		Items []doctor.Finding `json:"items"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer), out)
	byCheck := map[string]doctor.Finding{}
	for _, finding := range answer.Items {
		byCheck[finding.Check] = finding
	}
	return byCheck
}

func TestDoctorFindsNothingWrongWithAWholeInstallation(t *testing.T) {
	t.Parallel()
	_, err := running()
	require.NoError(t, err)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{Name: "well", DatabaseURL: local.NewDatabase(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	s := liveSettings{&settingsMap{namespace: env.ControllerNamespace}}
	code, out, errOut := s.run(t, "doctor", "--controller-health", controller.HealthURL, "-o", "json")
	found := findingsOf(t, out)
	require.Zero(t, code, errOut+out)
	for _, check := range []string{"API server", "clock", "Penstock's kinds", "Argo's kinds", "controller", "controller's rights", "database", "settings", "server", "Argo takes Workflows", "Argo's instanceID", "your rights"} {
		require.Equal(t, doctor.OK, found[check].Status, "%s: %s", check, found[check].Message)
	}
	require.Equal(t, doctor.Warn, found["leader"].Status, "the controllers of the tests elect no leader")
	code, out, _ = s.run(t, "doctor", "--controller-health", controller.HealthURL)
	require.Zero(t, code)
	require.Contains(t, out, "ok       controller's rights    system:serviceaccount:penstock-system:penstock has the ")
}

func TestDoctorNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("[-]database failed: ReadOnly: the database is read-only\n[+]cluster ok\n"))
	}))
	t.Cleanup(unready.Close)
	s := newSteered(t, map[string]string{"KUBE_API_QPS": "fast"})
	holder, valid, long := "penstock-a_1", int32(6), metav1.NewMicroTime(time.Now().Add(-time.Hour-30*time.Second))
	require.NoError(t, s.cluster.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: leaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &valid, RenewTime: &long},
	}))
	code, out, errOut := s.run(t, "doctor", "-o", "json")
	require.Equal(t, exitFailed, code, out)
	require.Contains(t, errOut, "at least one check has failed")
	found := findingsOf(t, out)
	_, out, _ = s.run(t, "doctor", "-o", "json", "--controller-health", unready.URL)
	asked := findingsOf(t, out)
	s.pod(t, "penstock-a")
	_, out, _ = s.run(t, "doctor", "-o", "json")
	unscheduled := findingsOf(t, out)
	tests := map[string]struct {
		found doctor.Finding
		want  doctor.Status
		says  string
	}{
		"no controller":               {found["controller"], doctor.Fail, "no pod of the controller is in namespace " + s.namespace},
		"a controller that is no pod": {asked["controller"], doctor.OK, "it answers at " + unready.URL},
		"a pod that is not ready":     {unscheduled["controller"], doctor.Fail, "none of the 1 pods of the controller is ready"},
		"nobody leads":                {found["leader"], doctor.Fail, "nobody leads: penstock-a_1 renewed the Lease 1h0m"},
		"rights":                      {found["controller's rights"], doctor.Fail, "Penstock's service account may not create events"},
		"no server":                   {found["server"], doctor.Fail, "find penstock server by the ConfigMap"},
		"a refused value":             {found["settings"], doctor.Warn, `KUBE_API_QPS="fast": must be a whole number`},
		"a database that can't be":    {found["database"], doctor.Warn, "no pod of the controller"},
		"a database that is not well": {asked["database"], doctor.Fail, "ReadOnly: the database is read-only"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.found.Status, test.found.Message)
			require.Contains(t, test.found.Message, test.says)
		})
	}
}

func TestDoctorEndsWhereNothingAnswers(t *testing.T) {
	t.Parallel()
	began := time.Now()
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() { close(over); silent.Close() })
	p := pluginAt(t, silent.URL)
	code, out, errOut := p.run(t, "doctor", "-o", "json")
	require.Equal(t, exitFailed, code, errOut)
	require.Less(t, time.Since(began), 2*doctorTimeout)
	require.Equal(t, doctor.Fail, findingsOf(t, out)["API server"].Status)
}

func TestWhoMayReadLittleIsTold(t *testing.T) {
	t.Parallel()
	p := person(t, false)
	code, out, errOut := p.run(t, "doctor", "-o", "json")
	found := findingsOf(t, out)
	for check, says := range map[string]string{
		"controller": "pods is forbidden", "controller's rights": "that takes the right to create subjectaccessreviews", "leader": "leases.coordination.k8s.io",
		"your rights": "you may not list cibuilds.penstock.dev", "Argo takes Workflows": "forbidden", "Argo's instanceID": "forbidden", "settings": "forbidden",
	} {
		require.Equal(t, doctor.Warn, found[check].Status, check)
		require.Contains(t, found[check].Message, says, check)
	}
	for _, check := range []string{"API server", "clock", "Penstock's kinds", "Argo's kinds", "server"} {
		require.Equal(t, doctor.OK, found[check].Status, found[check].Message)
	}
	require.Zero(t, code, errOut)
}

func TestWorkflowsWithoutAPhaseAreNamed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	workflow := func(name string, age time.Duration) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(now.Add(-age))}}
	}
	require.Equal(t, doctor.OK, takenUpFinding([]metav1.PartialObjectMetadata{workflow("new", time.Minute)}, now).Status)
	bad := takenUpFinding([]metav1.PartialObjectMetadata{workflow("new", time.Minute), workflow("late", 3*time.Minute), workflow("oldest", time.Hour)}, now)
	require.Equal(t, doctor.Fail, bad.Status)
	require.Equal(t, "2 Workflows have no phase, the oldest is shop/oldest, since 1h0m0s", bad.Message)
}

func TestTheInstanceIDOfArgoIsCompared(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ci", instanceIDOf(map[string]string{"instanceID": "ci"}))
	require.Equal(t, "ci", instanceIDOf(map[string]string{"config": "instanceID: ci\nparallelism: 5\n"}))
	require.Empty(t, instanceIDOf(map[string]string{"config": "\t"}))
	require.Equal(t, "ci", labelIn("a=b, "+instanceLabel+"=ci", instanceLabel))
	for sentence, test := range map[string]struct {
		ids   []string
		ours  string
		known bool
		want  doctor.Status
	}{
		"none, and labels that are hidden": {[]string{"", ""}, "", false, doctor.OK},
		"none, and none":                   {[]string{""}, "", true, doctor.OK},
		"the same":                         {[]string{"ci"}, "ci", true, doctor.OK},
		"one of two":                       {[]string{"", "ci"}, "ci", true, doctor.OK},
		"a label is missing":               {[]string{"ci"}, "", true, doctor.Fail},
		"a label of another":               {[]string{"ci"}, "cd", true, doctor.Fail},
		"labels that are hidden":           {[]string{"ci"}, "", false, doctor.Warn},
		"a label where Argo has no id":     {[]string{""}, "cd", true, doctor.Fail},
		"a label of none of two":           {[]string{"", "ci"}, "cd", true, doctor.Fail},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			found := instanceFinding(test.ids, test.ours, test.known)
			require.Equal(t, test.want, found.Status)
			require.NotRegexp(t, "instanceid=( |$)", found.Fix, "an empty label is no fix")
			require.Equal(t, sentence == "a label where Argo has no id", strings.HasPrefix(found.Fix, "remove "), found.Fix)
		})
	}
}

func TestAnOldServerIsFound(t *testing.T) {
	t.Parallel()
	require.Equal(t, doctor.Fail, serverFinding([]byte(`{"info":{"version":"v0.1.0"},"paths":{"/api/v1/queue":{}}}`)).Status)
	require.Equal(t, doctor.Fail, serverFinding([]byte(`<html>`)).Status)
	old := serverFinding([]byte(`{"info":{"version":"v0.1.0"},"paths":{"/api/v1/queue/summary":{},"/api/v1/waves":{}}}`))
	require.Equal(t, doctor.Fail, old.Status, "it explains nothing")
	require.Contains(t, old.Message, "/api/v1/namespaces/{namespace}/runrequests")
}

func TestDoctorLooksAtOneCluster(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(age time.Duration) *metav1.Time { return new(metav1.NewTime(now.Add(-age))) }
	of := func(status v1alpha1.TargetClusterStatus, change func(*v1alpha1.TargetCluster)) *v1alpha1.TargetCluster {
		cluster := &v1alpha1.TargetCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu-1"}, Status: status}
		if change != nil {
			change(cluster)
		}
		return cluster
	}
	suspended := of(v1alpha1.TargetClusterStatus{}, func(c *v1alpha1.TargetCluster) { c.Spec.Suspend = true })
	for sentence, test := range map[string]struct {
		found doctor.Finding
		want  doctor.Status
	}{
		"suspended":       {kindOfCluster(suspended), doctor.Warn},
		"healthy":         {healthOfCluster(of(v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterHealthy}, nil)), doctor.OK},
		"unauthorized":    {healthOfCluster(of(v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterUnauthorized}, nil)), doctor.Fail},
		"degraded":        {healthOfCluster(of(v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterDegraded}, nil)), doctor.Warn},
		"not probed":      {probeOfCluster(of(v1alpha1.TargetClusterStatus{}, nil), now), doctor.Warn},
		"probed":          {probeOfCluster(of(v1alpha1.TargetClusterStatus{CheckedAt: at(time.Minute)}, nil), now), doctor.OK},
		"probed no more":  {probeOfCluster(of(v1alpha1.TargetClusterStatus{CheckedAt: at(time.Hour)}, nil), now), doctor.Fail},
		"nothing to do":   {laneOfCluster(of(v1alpha1.TargetClusterStatus{}, nil)), doctor.OK},
		"its lane open":   {laneOfCluster(of(v1alpha1.TargetClusterStatus{Conditions: []metav1.Condition{{Type: "LaneOpen", Status: metav1.ConditionTrue}}}, nil)), doctor.OK},
		"its lane shut":   {laneOfCluster(of(v1alpha1.TargetClusterStatus{Conditions: []metav1.Condition{{Type: "LaneOpen", Status: metav1.ConditionFalse}}}, nil)), doctor.Fail},
		"without a right": {rightsInCluster(of(v1alpha1.TargetClusterStatus{Permissions: &v1alpha1.ClusterPermissions{Denied: []string{"pods"}}}, nil)), doctor.Warn},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, test.found.Status, test.found.Message)
		})
	}
	s := newSteered(t, nil)
	code, out, _ := s.run(t, "doctor", "nowhere", "-o", "json")
	require.Equal(t, exitFailed, code)
	require.Equal(t, `there is no TargetCluster "nowhere"`, findingsOf(t, out)["health"].Message)
}

func TestWhyAPodIsNotReady(t *testing.T) {
	t.Parallel()
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"}}
	require.Equal(t, "ImagePullBackOff no such image", whyNot(&corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: waiting}}}}))
	require.Equal(t, "0/3 nodes fit", whyNot(&corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Status: corev1.ConditionFalse, Message: "0/3 nodes fit"}}}}))
	require.Equal(t, "it is Pending", whyNot(&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending}}))
	for image, want := range map[string]string{"penstock:v1": "v1", "example.com:5000/penstock": "", "example.com:5000/penstock:v2@sha256:1": "v2"} {
		require.Equal(t, want, tagOf(image))
	}
}

// pluginAt is a plugin with a kubeconfig of an API server that is not one.
func pluginAt(t *testing.T, address string) plugin {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: address}}, Contexts: map[string]*clientcmdapi.Context{"main": {Cluster: "c"}}, CurrentContext: "main",
	}, path))
	return plugin{kubeconfig: path}
}
