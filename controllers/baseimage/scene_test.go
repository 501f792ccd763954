package baseimage

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/registry"
)

// patience is for how long something is waited for that comes in a moment.
const patience = 20 * time.Second

// clock is one that the test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// scene is a checker before a real API server, a real database and a registry.
type scene struct {
	*Checker
	t         *testing.T
	cluster   client.Client
	store     *store.Store
	rows      *rows
	registry  *registry.Server
	events    *events.FakeRecorder
	clock     *clock
	cached    cache.Cache
	namespace string
	stop      func()
}

// rows counts the looks of the checker, and fails to note checks while it is told to.
type rows struct {
	*store.Store
	looks  atomic.Int64
	fails  atomic.Bool
	failed atomic.Int64
}

func (r *rows) WantedBaseImages(ctx context.Context) (map[string]time.Time, error) {
	defer r.looks.Add(1)
	return r.Store.WantedBaseImages(ctx)
}

func (r *rows) RecordBaseImageChecks(ctx context.Context, checks []store.BaseImageCheck) (map[string]store.BaseImageState, error) {
	if r.fails.Load() {
		r.failed.Add(1)
		return nil, errors.New("the database is away")
	}
	return r.Store.RecordBaseImageChecks(ctx, checks)
}

// inside reads one namespace alone, which is the test's.
type inside struct {
	client.Reader
	namespace string
}

func (i inside) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return i.Reader.List(ctx, list, append(options, client.InNamespace(i.namespace))...)
}

func newScene(t *testing.T, changes ...func(*Config)) *scene {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	database := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), database))
	opened, err := store.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	s := &scene{
		t: t, cluster: admin, store: opened, rows: &rows{Store: opened}, registry: registry.New(t),
		events: events.NewFakeRecorder(1000), clock: &clock{}, namespace: local.NewNamespace(t),
	}
	s.cached = local.NewCache(t, func(context.Context, client.FieldIndexer) error { return nil })
	config := Config{
		Cache: inside{s.cached, s.namespace}, Live: admin, Writer: admin, Rows: s.rows, Events: s.events,
		Guard: registry.Guard(), Now: s.clock.now, Log: logr.Discard(),
	}
	for _, change := range changes {
		change(&config)
	}
	s.Checker = New(config)
	require.NoError(t, s.Watch(t.Context(), s.cached))
	s.start()
	return s
}

// start runs the checker until the test ends, or stop is called.
func (s *scene) start() {
	s.t.Helper()
	require.True(s.t, s.cached.WaitForCacheSync(s.t.Context()))
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

// restart is what a new leader is to the old one, whose last writes its cache has seen.
func (s *scene) restart() {
	s.t.Helper()
	s.stop()
	s.catchUp()
	s.Checker = New(s.Config)
	s.start()
}

// catchUp waits until the cache shows what the API server has.
func (s *scene) catchUp() {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(t *assert.CollectT) {
		var live, cached v1alpha1.BaseImageList
		require.NoError(t, s.cluster.List(s.t.Context(), &live, client.InNamespace(s.namespace)))
		require.NoError(t, s.Cache.List(s.t.Context(), &cached))
		require.Equal(t, versions(live), versions(cached))
	}, patience, 20*time.Millisecond)
}

func versions(list v1alpha1.BaseImageList) map[string]string {
	versions := map[string]string{}
	for _, image := range list.Items {
		versions[image.Name] = image.ResourceVersion
	}
	return versions
}

// pass lets time pass.
func (s *scene) pass(by time.Duration) {
	s.clock.offset.Add(int64(by))
	s.wake.Notify()
}

// add creates a BaseImage of the registry.
func (s *scene) add(name, repositoryAndTag string, with ...func(*v1alpha1.BaseImage)) *v1alpha1.BaseImage {
	s.t.Helper()
	image := given.BaseImage(name, s.registry.Host+"/"+repositoryAndTag, with...)
	image.Namespace = s.namespace
	require.NoError(s.t, s.cluster.Create(s.t.Context(), image))
	return image
}

// change patches the spec.
func (s *scene) change(image *v1alpha1.BaseImage, spec string) {
	s.t.Helper()
	require.NoError(s.t, s.cluster.Patch(s.t.Context(), image, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+spec+`}`))))
}

func (s *scene) read(name string) *v1alpha1.BaseImage {
	s.t.Helper()
	var image v1alpha1.BaseImage
	require.NoError(s.t, s.cluster.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &image))
	return &image
}

// becomes waits until the condition Ready has a reason, and the digest is this.
func (s *scene) becomes(name string, reason v1alpha1.Reason, digest string) v1alpha1.BaseImageStatus {
	s.t.Helper()
	var image *v1alpha1.BaseImage
	require.Eventually(s.t, func() bool {
		image = s.read(name)
		ready := readyOf(image.Status)
		return ready != nil && ready.Reason == string(reason) && ready.ObservedGeneration == image.Generation && image.Status.Digest == digest
	}, patience, 20*time.Millisecond, "want %s of %s", reason, digest)
	require.Equal(s.t, reason == v1alpha1.ReasonChecked, readyOf(image.Status).Status == metav1.ConditionTrue)
	return image.Status
}

// tells waits for a part of the condition's message.
func (s *scene) tells(name, part string) string {
	s.t.Helper()
	var message string
	require.Eventually(s.t, func() bool {
		if ready := readyOf(s.read(name).Status); ready != nil {
			message = ready.Message
		}
		return strings.Contains(message, part)
	}, patience, 20*time.Millisecond, part)
	require.NotContains(s.t, message, "hunter2")
	return message
}

// secret stores a pull Secret of the registry, in the place of the one that is there.
func (s *scene) secret(name, user, password string) {
	s.t.Helper()
	config, err := json.Marshal(map[string]any{"auths": map[string]any{s.registry.Host: map[string]string{"username": user, "password": password}}})
	require.NoError(s.t, err)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
	}
	require.NoError(s.t, client.IgnoreNotFound(s.cluster.Delete(s.t.Context(), secret.DeepCopy())))
	require.NoError(s.t, s.cluster.Create(s.t.Context(), secret))
}

// heads waits until there were so many checks of a tag since the last call of Requests.
func (s *scene) heads(repository, tag string, count int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return s.registry.Count("HEAD /v2/"+repository+"/manifests/"+tag) == count
	}, patience, 10*time.Millisecond)
}

// looks waits until the checker has looked twice, so that what was to happen has happened.
func (s *scene) looks() {
	s.t.Helper()
	s.wake.Notify()
	before := s.rows.looks.Load()
	require.Eventually(s.t, func() bool { return s.rows.looks.Load() >= before+2 }, patience, 5*time.Millisecond)
}

// row is one column of the row of the only base image.
func (s *scene) row(column string) string {
	s.t.Helper()
	var value *string
	require.NoError(s.t, s.store.Pool().QueryRow(s.t.Context(), "SELECT ("+column+")::text FROM base_image").Scan(&value))
	if value == nil {
		return ""
	}
	return *value
}

// event waits for a Kubernetes event.
func (s *scene) event() string {
	s.t.Helper()
	select {
	case event := <-s.events.Events:
		return event
	case <-time.After(patience):
		require.Fail(s.t, "no event")
		return ""
	}
}
