package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// patience is for how long something is waited for that comes in a moment.
const patience = 20 * time.Second

// scene is a prober before a real API server and a real database. TargetClusters are not
// namespaced: each test names its own, and the prober sees those of all tests.
type scene struct {
	*Prober
	t         *testing.T
	cluster   client.WithWatch
	store     *store.Store
	events    *events.FakeRecorder
	namespace string
	prefix    string
	cached    cache.Cache
	stop      func()
}

// only passes the TargetClusters of one test on.
type only struct {
	client.Reader
	prefix string
}

func (o only) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return o.Reader.List(ctx, list, append(options, client.MatchingLabels{"test": o.prefix})...)
}

func newScene(t *testing.T, changes ...func(*Config)) *scene {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	database := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), database))
	rows, err := store.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	s := &scene{t: t, cluster: admin, store: rows, events: events.NewFakeRecorder(1000), namespace: local.NewNamespace(t)}
	s.prefix = s.namespace
	cached := local.NewCache(t, func(context.Context, client.FieldIndexer) error { return nil })
	config := Config{
		Members: fleet.MembersConfig{
			Namespace: s.namespace, Cache: only{cached, s.prefix}, Live: admin, Home: local.ConfigFor(env.Admin), UserAgent: "penstock/test",
		},
		Writer: admin, History: rows, Events: s.events, Kinds: []fleet.Kind{{Resource: "pods"}},
		Lane:     func(string) (*store.ClusterLane, bool) { return nil, true },
		Interval: 200 * time.Millisecond, Parallelism: 10, Log: logr.Discard(),
	}
	s.cached = cached
	for _, change := range changes {
		change(&config)
	}
	s.Prober = New(config)
	require.NoError(t, s.Members.Watch(t.Context(), cached))
	s.start(cached)
	return s
}

// start runs the prober until the test ends, or stop is called.
func (s *scene) start(cached cache.Cache) {
	s.t.Helper()
	require.True(s.t, cached.WaitForCacheSync(s.t.Context()))
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	stopped := false
	s.stop = func() {
		if !stopped {
			cancel()
			require.NoError(s.t, <-ended)
			stopped = true
		}
	}
	s.t.Cleanup(s.stop)
}

// name is one that no other test has.
func (s *scene) name(short string) string { return s.prefix + "." + short }

// add creates a TargetCluster with that short name.
func (s *scene) add(short string, with ...func(*v1alpha1.TargetCluster)) *v1alpha1.TargetCluster {
	s.t.Helper()
	with = append(with, given.Labelled("test", s.prefix))
	cluster := given.TargetCluster(s.name(short), with...)
	require.NoError(s.t, s.cluster.Create(s.t.Context(), cluster))
	s.t.Cleanup(func() {
		_ = s.cluster.Delete(context.WithoutCancel(s.t.Context()), cluster)
	})
	return cluster
}

// secret stores a kubeconfig for the TargetCluster with that short name.
func (s *scene) secret(short string, kubeconfig []byte) *corev1.Secret {
	s.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name(short)},
		Data:       map[string][]byte{"kubeconfig": kubeconfig},
	}
	require.NoError(s.t, s.cluster.Create(s.t.Context(), secret))
	return secret
}

func (s *scene) status(short string) v1alpha1.TargetClusterStatus {
	s.t.Helper()
	var cluster v1alpha1.TargetCluster
	require.NoError(s.t, s.cluster.Get(s.t.Context(), client.ObjectKey{Name: s.name(short)}, &cluster))
	return cluster.Status
}

// becomes waits until the status has that phase and reason.
func (s *scene) becomes(short, want string) v1alpha1.TargetClusterStatus {
	s.t.Helper()
	var status v1alpha1.TargetClusterStatus
	require.Eventually(s.t, func() bool {
		status = s.status(short)
		return string(status.Phase)+"/"+status.Reason == want
	}, patience, 20*time.Millisecond, "want %s", want)
	return status
}

// history waits until the history of a cluster is this, oldest first.
func (s *scene) history(short string, want ...string) {
	s.t.Helper()
	var got []string
	require.Eventually(s.t, func() bool {
		rows, err := s.store.ClusterEvents(s.t.Context(), s.name(short), 0, 100)
		require.NoError(s.t, err)
		got = nil
		for i := len(rows) - 1; i >= 0; i-- {
			got = append(got, rows[i].Phase+"/"+rows[i].Reason)
		}
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, patience, 20*time.Millisecond, "want %v, last %v", want, &got)
}

func (s *scene) object(short string) *v1alpha1.TargetCluster {
	s.t.Helper()
	var cluster v1alpha1.TargetCluster
	require.NoError(s.t, s.cluster.Get(s.t.Context(), client.ObjectKey{Name: s.name(short)}, &cluster))
	return &cluster
}

func (s *scene) secretNamed(short string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name(short)}}
}

// base64JSON is how JSON has bytes.
func base64JSON(t *testing.T, value []byte) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}
