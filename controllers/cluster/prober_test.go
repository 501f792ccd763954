package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/lifecycle"
	"github.com/penstock-cd/penstock/test/target"
)

func TestARealClusterIsHealthyWithItsVersionAndRights(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	home := s.add("home", given.InCluster)
	status := s.becomes("home", "Healthy/Healthy")
	require.Regexp(t, `^v1\.\d+\.\d+`, status.Version)
	require.Equal(t, []string{"pods"}, status.Permissions.Allowed)
	require.NotNil(t, status.Since)
	require.NotNil(t, status.CheckedAt)
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	require.Equal(t, metav1.ConditionTrue, ready.Status)
	require.Equal(t, home.Generation, ready.ObservedGeneration)
	s.history("home", "Healthy/Healthy")
	require.Equal(t, "Normal Healthy Healthy: the cluster answers", <-s.events.Events)
}

func TestAKubeconfigInASecretIsUsedAndAChangedOneAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Interval = time.Hour })
	server := target.New(t)
	s.add("eu")
	status := s.becomes("eu", "Unreachable/BadKubeconfig")
	require.Contains(t, status.Message, "Secret "+s.name("eu")+" does not exist in namespace "+s.namespace)

	s.secret("eu", []byte("hunter2"))
	s.tells("eu", "it is not a kubeconfig")
	s.restore("eu", server.Kubeconfig(t, func(_ *api.Cluster, user *api.AuthInfo) { user.TokenFile = "/etc/hunter2" }))
	s.tells("eu", "user.tokenFile names a file")
	s.restore("eu", server.Kubeconfig(t))
	s.becomes("eu", "Healthy/Healthy")

	// A token that was rotated: the old one is not valid any more.
	server.Accept("rotated")
	s.restore("eu", server.Kubeconfig(t, func(_ *api.Cluster, user *api.AuthInfo) { user.Token = "rotated" }))
	require.Eventually(t, func() bool {
		seen := server.Requests()
		server.Reset()
		return slices.Contains(seen, "/livez")
	}, patience, 20*time.Millisecond, "the changed Secret is used at once")
	require.Equal(t, "Healthy", s.status("eu").Reason)
	require.LessOrEqual(t, s.Members.Connections(), 1)
	s.history("eu", "Unreachable/BadKubeconfig", "Healthy/Healthy")
}

// tells waits for a part of the status' message.
func (s *scene) tells(short, part string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.status(short).Message, part) }, patience, 20*time.Millisecond, part)
	require.NotContains(s.t, s.status(short).Message, "hunter2")
}

// restore changes the kubeconfig that is stored.
func (s *scene) restore(short string, kubeconfig []byte) {
	s.t.Helper()
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"data":{"kubeconfig":%s}}`, base64JSON(s.t, kubeconfig)))
	secret := s.secretNamed(short)
	require.NoError(s.t, s.cluster.Patch(s.t.Context(), secret, patch))
}

func TestASecretThatCantBeUsedIsToldAndAGoodOneHeals(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Interval = time.Hour })
	server := target.New(t)
	good := server.Kubeconfig(t)
	secret := s.secret("eu", nil)
	s.add("eu")
	s.tells("eu", "it is empty: store a kubeconfig")
	for _, test := range []struct {
		kubeconfig []byte
		says       string
	}{
		{bytes.Repeat([]byte("#"), 1<<20), "it has 1048576 bytes, at most 262144 are read: keep one context, and remove the others"},
		{server.Kubeconfig(t, func(_ *api.Cluster, user *api.AuthInfo) {
			user.Exec = &api.ExecConfig{Command: "/bin/hunter2", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
		}), "user.exec would run a program"},
		{server.Kubeconfig(t, func(cluster *api.Cluster, _ *api.AuthInfo) {
			cluster.CertificateAuthority, cluster.CertificateAuthorityData = "/etc/hunter2", nil
		}), "cluster.certificate-authority names a file"},
	} {
		s.restore("eu", test.kubeconfig)
		s.tells("eu", test.says)
		require.Equal(t, v1alpha1.ClusterUnreachable, s.status("eu").Phase)
	}
	s.restore("eu", good)
	s.becomes("eu", "Healthy/Healthy")
	require.NoError(t, s.cluster.Delete(t.Context(), secret))
	s.becomes("eu", "Unreachable/BadKubeconfig")
	s.tells("eu", "Secret "+s.name("eu")+" does not exist in namespace "+s.namespace)
	require.Eventually(t, func() bool { return s.Members.Connections() == 0 }, patience, 10*time.Millisecond, "what the Secret allowed is over")
}

// Each has its own credentials and its own health.
func TestTwoTargetClustersForOneServerDoForThemselves(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := target.New(t)
	s.secret("good", server.Kubeconfig(t))
	s.secret("bad", server.Kubeconfig(t, func(_ *api.Cluster, user *api.AuthInfo) { user.Token = "another" }))
	s.add("good")
	s.add("bad")
	s.becomes("good", "Healthy/Healthy")
	s.becomes("bad", "Unauthorized/Unauthorized")
	require.Equal(t, "Healthy", s.status("good").Reason)
}

// The new certificate is of another authority: the kubeconfig must be renewed, and is used
// at once.
func TestACertificateThatChangesIsToldUntilTheKubeconfigIsRenewed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server, changing := newChanging(t)
	s.secret("eu", server.Kubeconfig(t, changing.reach))
	s.add("eu")
	s.becomes("eu", "Healthy/Healthy")

	changing.renew()
	status := s.becomes("eu", "Unreachable/TLS")
	require.Contains(t, status.Message, "renew cluster.certificate-authority-data")
	s.restore("eu", server.Kubeconfig(t, changing.reach))
	s.becomes("eu", "Healthy/Healthy")
	s.history("eu", "Healthy/Healthy", "Unreachable/TLS", "Healthy/Healthy")
}

// changing is an API server before a target's that gets another certificate.
type changing struct {
	*httptest.Server
	certificate atomic.Pointer[tls.Certificate]
}

func newChanging(t *testing.T) (*target.Server, *changing) {
	t.Helper()
	server, c := target.New(t), &changing{}
	c.Server = httptest.NewUnstartedServer(server.Config.Handler)
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.renew()
	c.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*c.certificate.Load()}, MinVersion: tls.VersionTLS12}, nil
	}}
	c.StartTLS()
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return server, c
}

// renew has new connections see another certificate, and ends the old ones.
func (c *changing) renew() {
	next := target.Certificate(time.Now().Add(-time.Hour), 2*time.Hour)
	c.certificate.Store(&next)
	if c.URL != "" {
		c.CloseClientConnections()
	}
}

// reach has a kubeconfig name the server with the certificate that it has now.
func (c *changing) reach(cluster *api.Cluster, _ *api.AuthInfo) {
	cluster.Server = c.URL
	cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Load().Certificate[0]})
}

func TestEachClusterFailsForItselfAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good, hanging, refusing, denying := target.New(t), target.New(t), target.New(t), target.New(t)
	hanging.Instead(hanging.Hang)
	refusing.Accept("another")
	denying.Deny("pods")
	for short, server := range map[string]*target.Server{"good": good, "hanging": hanging, "refusing": refusing, "denying": denying} {
		s.secret(short, server.Kubeconfig(t))
		s.add(short)
	}
	s.add("virtual", given.Virtual)
	began := time.Now()
	s.becomes("good", "Healthy/Healthy")
	s.becomes("denying", "Degraded/Forbidden")
	s.becomes("refusing", "Unauthorized/Unauthorized")
	s.becomes("virtual", "Virtual/Virtual")
	require.Less(t, time.Since(began), 2*fleet.ProbeTimeout, "nobody has waited for the one that hangs")
	status := s.becomes("hanging", "Unreachable/Timeout")
	require.Contains(t, status.Message, "did not answer within 5s: check the network")
	require.Equal(t, metav1.ConditionFalse, meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady).Status)
	require.LessOrEqual(t, hanging.Peak(), 1, "never two probes of one cluster at once")
	s.history("hanging", "Unreachable/Timeout")
	require.InDelta(t, 1, testutil.ToFloat64(up.WithLabelValues(s.name("good"))), 0)
	require.InDelta(t, 0, testutil.ToFloat64(up.WithLabelValues(s.name("hanging"))), 0)

	hanging.Instead(nil)
	s.becomes("hanging", "Healthy/Healthy")
	s.history("hanging", "Unreachable/Timeout", "Healthy/Healthy")
}

func TestAClusterThatFailsEverySecondProbeStaysAndIsNotWritten(t *testing.T) {
	t.Parallel()
	s := newScene(t, func(c *Config) { c.Interval = 20 * time.Millisecond })
	server := target.New(t)
	s.secret("flapping", server.Kubeconfig(t))
	s.add("flapping")
	s.becomes("flapping", "Healthy/Healthy")
	before := s.object("flapping")
	var probes atomic.Int32
	server.Instead(func(w http.ResponseWriter, r *http.Request) {
		if probes.Add(1)%2 == 0 {
			target.Status(http.StatusInternalServerError)(w, r)
			return
		}
		target.Status(http.StatusOK)(w, r)
	})
	require.Eventually(t, func() bool { return probes.Load() > 20 }, patience, 5*time.Millisecond)
	require.Equal(t, before.ResourceVersion, s.object("flapping").ResourceVersion)
	s.history("flapping", "Healthy/Healthy")
}

func TestASuspendedClusterIsNotContactedUntilItIsResumed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := target.New(t)
	s.secret("eu", server.Kubeconfig(t))
	s.add("eu", func(c *v1alpha1.TargetCluster) { c.Spec.Suspend = true })
	s.becomes("eu", "Unknown/Suspended")
	require.Empty(t, server.Requests())
	suspend := func(suspend bool) {
		cluster := s.object("eu")
		cluster.Spec.Suspend = suspend
		require.NoError(t, s.cluster.Update(t.Context(), cluster))
	}
	suspend(false)
	s.becomes("eu", "Healthy/Healthy")
	suspend(true)
	s.becomes("eu", "Unknown/Suspended")
	require.Eventually(t, func() bool { return s.Members.Connections() == 0 }, patience, 10*time.Millisecond)
}

func TestAClusterThatGoesIsForgottenAndItsConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := target.New(t)
	s.secret("eu", server.Kubeconfig(t))
	cluster := s.add("eu")
	s.becomes("eu", "Healthy/Healthy")
	require.Equal(t, 1, s.Members.Connections())
	require.NoError(t, s.cluster.Delete(t.Context(), cluster))
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.Members.Connections() == 0 && len(s.records) == 0
	}, patience, 10*time.Millisecond)
	require.False(t, up.DeleteLabelValues(s.name("eu")), "its metric is gone")
	_, err := s.Members.Client(t.Context(), s.name("eu"))
	require.ErrorIs(t, err, fleet.ErrNoMember)
}

// The standby takes what the status tells for what it knows.
func TestTheNextLeaderGoesOnWithoutANewTransition(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	server := target.New(t)
	server.Instead(target.Status(http.StatusInternalServerError))
	s.secret("eu", server.Kubeconfig(t))
	s.add("eu")
	since := s.becomes("eu", "Degraded/NotReady").Since
	s.history("eu", "Degraded/NotReady")
	s.stop()

	next := New(s.Config)
	known := next.recordOf(s.object("eu"))
	require.Equal(t, v1alpha1.ClusterDegraded, known.health.Phase)
	require.True(t, known.due.IsZero(), "it is probed at once")
	again := fleet.Judge(known.health, fleet.Observation{Failure: &fleet.Failure{Class: fleet.NotReady}})
	require.True(t, since.Equal(timeOf(again.Since)))
}

// history is one that can't be reached for a while.
type unreachable struct {
	History
	isDown atomic.Bool
}

func (u *unreachable) RecordClusterEvents(ctx context.Context, events []store.ClusterEvent) error {
	if u.isDown.Load() {
		return errors.New("the database is down")
	}
	return u.History.RecordClusterEvents(ctx, events)
}

func TestStatusGoesOnWithoutTheDatabaseAndHistoryIsWrittenLater(t *testing.T) {
	t.Parallel()
	history := &unreachable{}
	history.isDown.Store(true)
	s := newScene(t, func(c *Config) {
		history.History = c.History
		c.History = history
	})
	server := target.New(t)
	s.secret("eu", server.Kubeconfig(t))
	s.add("eu")
	s.becomes("eu", "Healthy/Healthy")
	server.Instead(target.Status(http.StatusInternalServerError))
	s.becomes("eu", "Degraded/NotReady")
	s.history("eu")
	history.isDown.Store(false)
	s.history("eu", "Healthy/Healthy", "Degraded/NotReady")
}

// A hundred clusters that answer after a while are probed in the time of one, and there are
// never more than the parallelism allows.
func TestAllClustersAreProbedInParallel(t *testing.T) {
	t.Parallel()
	const clusters, parallelism = 60, 20
	s := newScene(t, func(c *Config) { c.Parallelism, c.Interval = parallelism, time.Hour })
	server := target.New(t)
	kubeconfig := server.Kubeconfig(t)
	server.Handle("/livez", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(50 * time.Millisecond)
		target.Status(http.StatusOK)(w, r)
	})
	var group sync.WaitGroup
	for i := range clusters {
		group.Go(func() {
			short := fmt.Sprintf("c%d", i)
			s.secret(short, kubeconfig)
			s.add(short)
		})
	}
	group.Wait()
	require.Eventually(t, func() bool {
		all, err := s.Members.All(t.Context(), nil)
		require.NoError(t, err)
		return len(all) == clusters && !slices.ContainsFunc(all, func(c v1alpha1.TargetCluster) bool { return c.Status.Phase != v1alpha1.ClusterHealthy })
	}, patience, 20*time.Millisecond)
	require.LessOrEqual(t, server.Peak(), parallelism)
	s.stop()
	require.Zero(t, s.Members.Connections())
}

func TestAProberIsStartedOnceAndStoppedAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add("home", given.InCluster)
	s.becomes("home", "Healthy/Healthy")
	s.stop()
	lifecycle.Stress(t, func() manager.Runnable {
		next := New(s.Config)
		require.NoError(t, next.Members.Watch(t.Context(), s.cached))
		return next
	})
}
