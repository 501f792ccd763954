package chaos

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	answers "github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
	"github.com/penstock-cd/penstock/test/target"
)

const (
	// answersWithin is what an answer may take while clusters fail: the deadline of 2 s, and
	// what a loaded machine adds.
	answersWithin = 2*time.Second + 3*time.Second
	// judgedWithin is what may pass until every cluster has its phase: two probes of 5 s each
	// with 5 s between them, and the probes of all clusters.
	judgedWithin = 2 * time.Minute
	// fleetInterval is the least that CLUSTER_PROBE_INTERVAL may be.
	fleetInterval = "5s"
	// serverMemory is what a server may hold with 1,000 clusters.
	serverMemory = 256 << 20
)

// waysToFail are those in which clusters fail, and what is told of each.
var waysToFail = map[string]struct {
	fault  fault.Fault
	phase  v1alpha1.ClusterPhase
	reason string
}{
	"hangs":      {fault.HungBody, v1alpha1.ClusterUnreachable, "Timeout"},
	"half":       {fault.HalfBody, v1alpha1.ClusterUnreachable, "Refused"},
	"overloaded": {fault.TooManyRequests, v1alpha1.ClusterDegraded, "NotReady"},
	"broken":     {fault.InternalError, v1alpha1.ClusterDegraded, "NotReady"},
	"refuses":    {fault.Unauthorized, v1alpha1.ClusterUnauthorized, "Unauthorized"},
}

// clusters is a controller and a server with many clusters, all of which are one real API
// server. Those of one way to fail share a proxy before it.
type clusters struct {
	*env.Environment
	t       *testing.T
	admin   client.WithWatch
	proxies map[string]*fault.APIServer
	rows    *fault.Postgres
	server  *env.Server
	token   string
	http    *http.Client
	good    int
	most    int // of all clusters
}

func newClusters(t *testing.T) *clusters {
	t.Helper()
	started, err := env.Start(t.Context(), env.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Stop()) })
	c := &clusters{Environment: started, t: t, proxies: map[string]*fault.APIServer{}, good: sized(950, 20)}
	c.admin, err = started.NewClient(env.Admin)
	require.NoError(t, err)
	require.NoError(t, started.InstallServer(t.Context()))
	for _, way := range append(ways(), "flaps", "renews", "rotates") {
		proxy, err := fault.NewAPIServer(started.Config)
		require.NoError(t, err)
		t.Cleanup(proxy.Close)
		c.proxies[way] = proxy
	}
	c.rows, err = fault.NewPostgres(started.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(c.rows.Close)
	return c
}

func ways() []string {
	var names []string
	for way := range waysToFail {
		names = append(names, way)
	}
	slices.Sort(names)
	return names
}

// declare creates clusters of every kind.
func (c *clusters) declare() {
	c.t.Helper()
	through := map[string]*restclient.Config{}
	for i := range c.good {
		through[fmt.Sprintf("good-%03d", i)] = c.Config
	}
	for way, proxy := range c.proxies {
		config := proxy.Through(c.Config)
		if way == "rotates" {
			config.BearerToken = c.account("target", "cluster-admin")
		}
		for i := range c.each(way) {
			through[fmt.Sprintf("%s-%d", way, i)] = config
		}
	}
	c.most = len(through)
	var objects []client.Object
	for name, config := range through {
		objects = append(objects, secretOf(c.t, name, config), given.TargetCluster(name))
	}
	for _, err := range bounded.ForEach(c.t.Context(), 8, time.Minute, objects, func(ctx context.Context, object client.Object) error {
		return c.admin.Create(ctx, object)
	}) {
		require.NoError(c.t, err)
	}
}

// each is how many clusters have a way. Every second probe of one fails that flaps, so that
// there is one.
func (c *clusters) each(way string) int {
	if way == "flaps" {
		return 1
	}
	return sized(7, 1)
}

// account creates a service account that has a ClusterRole, and returns its token.
func (c *clusters) account(name, role string) string {
	c.t.Helper()
	var said string
	for _, command := range []string{
		"create serviceaccount " + name + " -n default",
		"create clusterrolebinding " + name + " --clusterrole=" + role + " --serviceaccount=default:" + name,
		"create token " + name + " -n default",
	} {
		var err error
		said, err = c.Kubectl(c.t.Context(), strings.Fields(command)...)
		require.NoError(c.t, err)
	}
	return strings.TrimSpace(said)
}

func secretOf(t *testing.T, name string, config *restclient.Config) *corev1.Secret {
	t.Helper()
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"c": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "c"}},
		CurrentContext: "c",
	})
	require.NoError(t, err)
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: name}, Data: map[string][]byte{"kubeconfig": text}}
}

// start starts a controller, a server, and somebody who may read all clusters.
func (c *clusters) start() {
	c.t.Helper()
	_, err := c.StartController(c.t.Context(), env.ControllerOptions{Env: []string{"CLUSTER_PROBE_INTERVAL=" + fleetInterval, "KUBE_API_QPS=500", "KUBE_API_BURST=1000"}})
	require.NoError(c.t, err)
	c.serve("server")
	c.token = c.account("reader", "penstock-cluster-reader")
	require.Eventually(c.t, func() bool {
		allowed, _ := c.Kubectl(c.t.Context(), "auth", "can-i", "list", "targetclusters.penstock.dev", "--subresource=resources", "-A", "--as=system:serviceaccount:default:reader")
		return strings.HasPrefix(allowed, "yes")
	}, time.Minute, 200*time.Millisecond)
}

// serve starts a server before a proxy to Postgres.
func (c *clusters) serve(name string) {
	c.t.Helper()
	server, err := c.StartServer(c.t.Context(), env.ServerOptions{Name: name, DatabaseURL: c.rows.URL})
	require.NoError(c.t, err)
	c.server = server
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Roots()}}
	c.t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport, Timeout: time.Minute}
}

// list asks for the Pods of all clusters, and returns how each did and how long that took.
func (c *clusters) list(parameters string) (answers.ResourceList, time.Duration) {
	c.t.Helper()
	began := time.Now()
	text, status, err := c.ask(c.t.Context(), parameters)
	took := time.Since(began)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, status, string(text))
	var list answers.ResourceList
	require.NoError(c.t, json.Unmarshal(text, &list))
	return list, took
}

func (c *clusters) ask(ctx context.Context, parameters string) ([]byte, int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+"/api/v1/clusters/resources?kinds=pods"+parameters, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return text, response.StatusCode, err
}

// way is that of a cluster's name.
func way(name string) string {
	kind, _, _ := strings.Cut(name, "-")
	return kind
}

// othersAnswer asks, and requires that the good clusters are in the answer in their time and
// that each of those that fail is named with an error.
func (c *clusters) othersAnswer(parameters string, fails ...string) {
	c.t.Helper()
	list, took := c.list(parameters)
	require.Less(c.t, took, answersWithin)
	require.Equal(c.t, len(fails) == 0, list.Complete)
	for _, cluster := range list.Clusters {
		if slices.Contains(fails, way(cluster.Name)) {
			require.NotEmpty(c.t, cluster.Error, cluster.Name)
			require.NotContains(c.t, cluster.Error, c.Config.BearerToken)
			continue
		}
		require.Contains(c.t, []string{"Fresh", "Stale"}, cluster.State, "%s: %s", cluster.Name, cluster.Error)
	}
}

// goodOnesAnswer asks a server that knows nothing yet until it has the answers of the good
// clusters: 1,000 clusters on two cores take more than one answer, each of which keeps its
// deadline.
func (c *clusters) goodOnesAnswer() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		list, took := c.list("&fresh=true&limit=5")
		require.Less(c.t, took, answersWithin)
		return !slices.ContainsFunc(list.Clusters, func(cluster answers.ResourceCluster) bool {
			return way(cluster.Name) == "good" && cluster.State != "Fresh"
		})
	}, time.Minute, 100*time.Millisecond)
}

// become waits until the clusters of each way have their phase and reason.
func (c *clusters) become(want map[string]string) {
	c.t.Helper()
	var differs string
	require.Eventually(c.t, func() bool {
		var list v1alpha1.TargetClusterList
		require.NoError(c.t, c.admin.List(c.t.Context(), &list))
		differs = ""
		for i := range list.Items {
			status := list.Items[i].Status
			if is := string(status.Phase) + "/" + status.Reason; want[way(list.Items[i].Name)] != is {
				differs = list.Items[i].Name + " is " + is + ": " + status.Message
			}
		}
		return differs == ""
	}, judgedWithin, 500*time.Millisecond, "%s", lazy(func() string { return differs }))
}

// lazy is a text that is made when it is printed.
type lazy func() string

func (l lazy) String() string { return l() }

const healthy = "Healthy/Healthy"

func (c *clusters) wanted(fails bool) map[string]string {
	want := map[string]string{"good": healthy, "flaps": healthy, "renews": healthy, "rotates": healthy}
	for name, how := range waysToFail {
		want[name] = healthy
		if fails {
			want[name] = string(how.phase) + "/" + how.reason
		}
	}
	return want
}

// bounded requires that the server holds no more than it may.
func (c *clusters) bounded() {
	c.t.Helper()
	memory, err := measure.MemoryOf(c.server.PID())
	require.NoError(c.t, err)
	require.Less(c.t, memory.Peak, int64(serverMemory))
	goroutines, err := measure.Metric(c.t.Context(), c.server.MetricsURL, "go_goroutines")
	require.NoError(c.t, err)
	require.Less(c.t, int(goroutines), 3*c.most+10*100, "3 for each connection, and 10 for each of 100 that are asked")
}

// One scenario: each step begins where the one before has ended.
func TestClustersThatFailCostTheOthersNothing(t *testing.T) {
	t.Parallel()
	c := newClusters(t)
	c.declare()
	var flips atomic.Int64
	c.proxies["flaps"].Break(func(_ context.Context, request fault.Request) fault.Fault {
		if request.Path == "/livez" && flips.Add(1)%2 == 0 {
			return fault.InternalError
		}
		return fault.None
	})
	for name, how := range waysToFail {
		c.proxies[name].Break(func(context.Context, fault.Request) fault.Fault { return how.fault })
	}
	c.start()
	c.goodOnesAnswer()
	c.become(c.wanted(true))
	c.othersAnswer("", ways()...)

	// A server that is killed while it asks leaves nothing, and the next one answers.
	asked := make(chan error, 1)
	go func() {
		_, _, err := c.ask(t.Context(), "&fresh=true&limit=5")
		asked <- err
	}()
	require.NoError(t, c.server.Kill())
	if err := <-asked; err != nil { // or an answer, as it comes
		t.Log("the request has ended with the server:", err)
	}
	c.serve("next")
	require.Eventually(t, func() bool {
		text, status, err := c.ask(t.Context(), "&clusters=good-000")
		return err == nil && status == http.StatusOK && strings.Contains(string(text), `"state":"Fresh"`)
	}, time.Minute, 100*time.Millisecond)
	c.goodOnesAnswer()

	// Postgres is not needed for who may read all clusters.
	c.rows.Stall()
	list, took := c.list("&clusters=good-000,good-001&fresh=true")
	require.Less(t, took, answersWithin)
	require.True(t, list.Complete)
	c.rows.Resume()

	// A certificate that changes is not trusted until the Secret has the new one, and a token
	// that was rotated is used at once.
	c.proxies["renews"].Renew(target.Certificate(time.Now().Add(-time.Hour), 24*time.Hour))
	_, err := c.Kubectl(t.Context(), "delete", "serviceaccount", "target", "-n", "default")
	require.NoError(t, err)
	want := c.wanted(true)
	want["renews"], want["rotates"] = "Unreachable/TLS", "Unauthorized/Unauthorized"
	c.become(want)
	c.othersAnswer("", append(ways(), "renews", "rotates")...)
	c.bounded()

	for _, proxy := range c.proxies {
		proxy.Break(nil)
	}
	for _, way := range []string{"renews", "rotates"} {
		for i := range c.each(way) {
			secret := secretOf(t, fmt.Sprintf("%s-%d", way, i), c.proxies[way].Through(c.Config))
			require.NoError(t, c.admin.Update(t.Context(), secret))
		}
	}
	c.become(c.wanted(false))
	require.Eventually(t, func() bool {
		list, took := c.list("&fresh=true&limit=5")
		require.Less(t, took, answersWithin)
		return list.Complete
	}, time.Minute, 500*time.Millisecond, "all have come back")
	c.bounded()
}
