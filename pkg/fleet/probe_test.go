package fleet

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/test/target"
)

var kinds = []Kind{{Resource: "pods"}, {Group: "apps", Resource: "deployments"}}

func clientOf(t testing.TB, kubeconfig []byte) *Client {
	t.Helper()
	config, err := Parse(kubeconfig)
	require.NoError(t, err)
	return open(t, config)
}

func open(t testing.TB, config *rest.Config) *Client {
	t.Helper()
	made, err := NewClient(config)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	return made
}

func TestAProbeTellsVersionRightsAndLatency(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	server.Deny("pods")
	made := clientOf(t, server.Kubeconfig(t))
	seen := Probe(t.Context(), made, kinds)
	require.Nil(t, seen.Failure)
	require.Equal(t, target.Version, seen.Version)
	require.Equal(t, []string{"deployments.apps"}, seen.Permissions.Allowed)
	require.Equal(t, []string{"pods"}, seen.Permissions.Denied)
	require.Positive(t, seen.Latency)
	server.Reset()
	require.Nil(t, Probe(t.Context(), made, nil).Failure)
	require.Equal(t, []string{"/livez"}, server.Requests(), "most probes are one request")
	require.Equal(t, 1, made.Connections(), "and share a connection")
}

// broken returns a kubeconfig, or a configuration, of a cluster that is broken in one way.
var broken = map[string]struct {
	class   Class
	message string
	reach   func(t *testing.T, server *target.Server) *rest.Config
}{
	"a name that nobody knows": {DNS, "check cluster.server", func(t *testing.T, server *target.Server) *rest.Config {
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.Server = "https://penstock.invalid" }))
	}},
	"a port where nobody listens": {Refused, "refuses connections", func(t *testing.T, server *target.Server) *rest.Config {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.Server = "https://" + listener.Addr().String() }))
	}},
	"a proxy that does not run": {Refused, "the proxy before", func(t *testing.T, server *target.Server) *rest.Config {
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.ProxyURL = "http://127.0.0.1:1" }))
	}},
	"a proxy that makes no tunnel": {Refused, "answers with status 407: check cluster.proxy-url", func(t *testing.T, server *target.Server) *rest.Config {
		proxy := httptest.NewServer(target.Status(http.StatusProxyAuthRequired))
		t.Cleanup(proxy.Close)
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.ProxyURL = proxy.URL }))
	}},
	"a server that never answers": {Timeout, "did not answer within", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(server.Hang)
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that hangs after the headers": {Timeout, "did not answer within", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(server.HangInside)
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that never finishes the handshake": {Timeout, "did not answer", func(t *testing.T, server *target.Server) *rest.Config {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.Server = "https://" + listener.Addr().String() }))
	}},
	"a server that breaks off": {Refused, "broke the connection off", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(target.Cut)
		return parsed(t, server.Kubeconfig(t))
	}},
	"an authority that is not the server's": {TLS, "renew cluster.certificate-authority-data", func(t *testing.T, server *target.Server) *rest.Config {
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.CertificateAuthorityData = nil }))
	}},
	"a certificate for another name": {TLS, "set cluster.tls-server-name", func(t *testing.T, server *target.Server) *rest.Config {
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.TLSServerName = "other.example.org" }))
	}},
	"a certificate that has expired": {TLS, "has expired", func(t *testing.T, _ *target.Server) *rest.Config {
		return expired(t)
	}},
	"a server without TLS": {TLS, "does not speak TLS", func(t *testing.T, server *target.Server) *rest.Config {
		plain := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(plain.Close)
		return parsed(t, server.Kubeconfig(t, func(c *api.Cluster, _ *api.AuthInfo) { c.Server = "https://" + plain.Listener.Addr().String() }))
	}},
	"a token that is not valid": {Unauthorized, "refuses the credentials", func(t *testing.T, server *target.Server) *rest.Config {
		server.Accept("another")
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that grants nothing": {Forbidden, "apply config/target", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(target.Status(http.StatusForbidden))
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that is not ready": {NotReady, "status 500", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(target.Status(http.StatusInternalServerError))
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that is overloaded": {NotReady, "overloaded (429)", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(target.Status(http.StatusTooManyRequests))
		return parsed(t, server.Kubeconfig(t))
	}},
	"a redirect": {BadKubeconfig, "answers with a redirect (302)", func(t *testing.T, server *target.Server) *rest.Config {
		other := target.New(t)
		t.Cleanup(func() { require.Empty(t, other.Requests(), "no credentials are sent along") })
		server.Instead(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
		return parsed(t, server.Kubeconfig(t))
	}},
	"a server that is no API server": {BadKubeconfig, "(404)", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(target.Status(http.StatusNotFound))
		return parsed(t, server.Kubeconfig(t))
	}},
	"a page in place of an answer": {BadKubeconfig, "not as a Kubernetes API server", func(t *testing.T, server *target.Server) *rest.Config {
		server.Instead(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) })
		return parsed(t, server.Kubeconfig(t))
	}},
}

func parsed(t *testing.T, kubeconfig []byte) *rest.Config {
	t.Helper()
	config, err := Parse(kubeconfig)
	require.NoError(t, err)
	return config
}

// expired is a server whose certificate was valid yesterday.
func expired(t *testing.T) *rest.Config {
	t.Helper()
	yesterday := target.Certificate(time.Now().Add(-48*time.Hour), 24*time.Hour)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = discard
	server.TLS = &tls.Config{Certificates: []tls.Certificate{yesterday}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(yesterday.Certificate[0])}}
}

func TestWhatIsBrokenHasAClassAndASentence(t *testing.T) {
	t.Parallel()
	for sentence, tc := range broken {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			made := open(t, tc.reach(t, target.New(t)))
			ctx := t.Context()
			if tc.class == Timeout { // which takes all the time that there is
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, lateBy.After, &lateBy)
				defer cancel()
			}
			seen := Probe(ctx, made, kinds)
			require.NotNil(t, seen.Failure)
			require.Equal(t, tc.class, seen.Failure.Class, seen.Failure.Message)
			require.Contains(t, seen.Failure.Message, tc.message)
			require.NotContains(t, seen.Failure.Message, target.Token)
			require.Contains(t, seen.Failure.Message, ": ", "it says what to do")
		})
	}
}

// A connection that has become a black hole is not used again.
func TestAClusterThatComesBackOnNewConnectionsIsSeen(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	made := clientOf(t, server.Kubeconfig(t))
	require.Nil(t, Probe(t.Context(), made, nil).Failure)
	server.Instead(server.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Equal(t, Timeout, Probe(ctx, made, nil).Failure.Class)
	require.Zero(t, made.Connections())
	server.Instead(nil)
	require.Nil(t, Probe(t.Context(), made, nil).Failure)
}

func TestAClosedClientCutsWhatIsUnderWayAndDialsNoMore(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	server.Instead(server.Hang)
	made := clientOf(t, server.Kubeconfig(t))
	ended := make(chan Observation, 1)
	go func() { ended <- Probe(t.Context(), made, nil) }()
	require.Eventually(t, func() bool { return len(server.Requests()) > 0 }, 5*time.Second, time.Millisecond)
	made.Close()
	require.NotNil(t, (<-ended).Failure)
	require.NotNil(t, Probe(t.Context(), made, nil).Failure)
	require.Zero(t, made.Connections())
	made.Close()
}

// goleak in TestMain finds what any of them has left.
func TestManyClientsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	kubeconfig := server.Kubeconfig(t)
	var group sync.WaitGroup
	slots := make(chan struct{}, 50)
	for range 50 {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			config, err := Parse(kubeconfig)
			if err != nil {
				panic(err)
			}
			made, err := NewClient(config)
			if err != nil {
				panic(err)
			}
			defer made.Close()
			if seen := Probe(t.Context(), made, nil); seen.Failure != nil {
				panic(seen.Failure)
			}
		})
	}
	group.Wait()
}
