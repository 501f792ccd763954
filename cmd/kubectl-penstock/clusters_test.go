package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// operator is a person who may read all clusters.
func operator(t *testing.T) plugin {
	t.Helper()
	p := person(t, false)
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	group := "system:serviceaccounts:" + p.home
	_, err = kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-cluster-reader"},
		Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: group}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return p
}

// addClusters adds up, which has pods and deployments, and down, which refuses connections.
func addClusters(t *testing.T) {
	t.Helper()
	up := target.New(t)
	pods := target.Objects("shop", 2)
	pods[1].Cells[1] = "Run\x1b[2Jning\u202e\u009b"
	up.List("/api/v1/pods", target.List{Kind: "Pod", Objects: pods})
	deployments := target.Objects("shop", 1)
	deployments[0].Cells[1] = nil
	up.List("/apis/apps/v1/deployments", target.List{Kind: "Deployment", Objects: deployments, Columns: []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string"}, {Name: "Ready", Type: "string"}, {Name: "Images", Type: "string", Priority: 1}, {Name: "Age", Type: "string"},
	}})
	nowhere := func(cluster *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { cluster.Server = "https://127.0.0.1:1" }
	addCluster(t, "up", up.Kubeconfig(t))
	addCluster(t, "down", up.Kubeconfig(t, nowhere))
}

func addCluster(t *testing.T, name string, kubeconfig []byte) {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	for _, object := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: name}, Data: map[string][]byte{"kubeconfig": kubeconfig}},
		given.TargetCluster(name, given.Labelled("test", t.Name())),
	} {
		require.NoError(t, admin.Create(t.Context(), object))
		t.Cleanup(func() { require.NoError(t, admin.Delete(context.WithoutCancel(t.Context()), object)) })
	}
}

func TestThePluginTellsHowOldResourcesAre(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tellAges(&errOut, []rest.ResourceCluster{
		{Name: "new", State: "Fresh", AgeSeconds: 0}, {Name: "young", State: "Stale", AgeSeconds: 4}, {Name: "late", State: "Stale", AgeSeconds: 46}, {Name: "gone", State: "Unreachable", AgeSeconds: 400},
	})
	require.Equal(t, "note: late is shown as it was 46 s ago: it is being read anew\n", errOut.String())
}

func TestThePluginTellsWhichLanesAreShut(t *testing.T) {
	t.Parallel()
	shut := func(reason, message string) *rest.ClusterLane {
		return &rest.ClusterLane{Reason: reason, Message: message}
	}
	table := clustersTable(rest.ClusterList{Items: []rest.Cluster{
		{Name: "unused", Phase: "Healthy"}, {Name: "used", Phase: "Healthy", Lane: &rest.ClusterLane{Open: true, Reason: "LaneOpen"}},
		{Name: "away", Phase: "Unreachable", Reason: "Timeout", Message: "no answer in 5s", Lane: shut("Timeout", "no answer in 4s")},
		{Name: "other", Phase: "Healthy", Reason: "Healthy", Message: "the cluster answers", Lane: shut("ClusterChanged", "another cluster answers")},
	}}, time.Now())
	var lanes []string
	for _, row := range table.rows {
		lanes = append(lanes, fmt.Sprintf("%s %q %q", row[0], row[4], row[7]))
	}
	require.Equal(t, []string{
		`unused "" ""`, `used "open" ""`, `away "shut" "no answer in 5s"`, `other "shut: ClusterChanged" "another cluster answers"`,
	}, lanes)
}

// started is a command that runs.
func started(t *testing.T) *cobra.Command {
	t.Helper()
	command := &cobra.Command{}
	command.SetContext(t.Context())
	command.SetErr(io.Discard)
	return command
}

func TestThePluginReadsAnewWhatIsOld(t *testing.T) {
	t.Parallel()
	asked := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("fresh"))
		state, age := "Stale", 46
		if r.URL.Query().Get("fresh") == "true" {
			state, age = "Fresh", 0
		}
		fmt.Fprintf(w, `{"kinds":[],"clusters":[{"name":"up","state":%q,"ageSeconds":%d}],"complete":true}`, state, age)
	}))
	t.Cleanup(server.Close)
	connected := &connection{url: server.URL, namespace: "shop", client: server.Client(), close: func() {}}
	list, missing, err := getOptions{wait: patience}.resources(started(t), connected, "pods")
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Equal(t, "Fresh", list.Clusters[0].State)
	require.Equal(t, []string{"", "true"}, asked)
}

func TestThePluginPrintsResourcesOfAllClusters(t *testing.T) {
	t.Parallel()
	p, nobody := operator(t), person(t, false)
	addClusters(t)
	require.Eventually(t, func() bool {
		_, out, _ := p.run(t, "clusters", "-o", "name", "-l", "test="+t.Name())
		return out == "targetcluster/down\ntargetcluster/up\n"
	}, patience, 50*time.Millisecond)
	code, out, errOut := p.run(t, "clusters", "-l", "test="+t.Name())
	require.Zero(t, code, errOut)
	require.Equal(t, "NAME | PHASE | VERSION | LATENCY | LANE | SINCE\ndown | Unknown | - | - | - | -\nup | Unknown | - | - | - | -", columns(out, -1))

	code, out, errOut = p.run(t, "get", "pods,deploy", "-A", "--clusters", "all", "--cluster-selector", "test="+t.Name())
	require.Equal(t, exitPartial, code, errOut)
	require.Equal(t, "CLUSTER | NAMESPACE | NAME | STATUS | RESTARTS | AGE\nup | shop | pod/object-0000 | Running | 0 | 60m\n"+
		"up | shop | pod/object-0001 | Run [2Jning | 1 | 60m\n\nCLUSTER | NAMESPACE | NAME | READY | AGE\nup | shop | deployment.apps/object-0000 | <none> | 60m",
		strings.ReplaceAll(columns(out, -1), "\n\n\n", "\n\n"))
	require.Contains(t, errOut, "error: the answer is not complete: something is missing of 1 of 2 clusters\n  down: Failed: pods: Refused: 127.0.0.1:1 refuses connections")

	code, out, errOut = p.run(t, "get", "deployments", "-A", "--clusters", "up", "-o", "wide")
	require.Zero(t, code, errOut)
	require.Equal(t, "CLUSTER | NAMESPACE | NAME | READY | IMAGES | AGE\nup | shop | object-0000 | <none> | 0 | 60m", columns(out, -1))
	code, out, errOut = p.run(t, "get", "po", "-A", "--clusters", "up", "-o", "json")
	require.Zero(t, code, errOut)
	var list rest.ResourceList
	require.NoError(t, json.Unmarshal([]byte(out), &list), out)
	require.Len(t, list.Kinds[0].Items, 2)
	code, out, errOut = p.run(t, "get", "po", "-A", "--clusters", "up", "-o", "name")
	require.Zero(t, code, errOut)
	require.Equal(t, "up/shop pod/object-0000\nup/shop pod/object-0001\n", out)

	code, _, errOut = p.run(t, "get", "secrets", "-A")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, `the kind "secrets" is not shown`)
	code, _, errOut = nobody.run(t, "get", "pods")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "may not list targetclusters.penstock.dev/resources in namespace default")
	code, _, errOut = p.run(t, "get")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "kubectl penstock get KIND")
}

func TestThePluginWaitsForAClusterThatIsSlow(t *testing.T) {
	t.Parallel()
	p, slow := operator(t), target.New(t)
	answers := make(chan struct{})
	slow.Handle("/api/v1/namespaces/shop/pods", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-answers:
			target.JSON(metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table"}, Rows: []metav1.TableRow{}})(w, r)
		case <-r.Context().Done():
		}
	})
	addCluster(t, "slow", slow.Kubeconfig(t))
	require.Eventually(t, func() bool {
		_, out, _ := p.run(t, "clusters", "-o", "name")
		return strings.Contains(out, "targetcluster/slow")
	}, patience, 50*time.Millisecond)
	code, _, errOut := p.run(t, "get", "pods", "-n", "shop", "--clusters", "slow", "--wait", "0")
	require.Equal(t, exitPartial, code)
	require.Contains(t, errOut, "slow: Pending: pods: no answer yet")

	time.AfterFunc(2500*time.Millisecond, func() { close(answers) })
	code, _, errOut = p.run(t, "get", "pods", "-n", "shop", "--clusters", "slow")
	require.Zero(t, code, errOut)
	require.Equal(t, "No resources found.\n", errOut)
}
