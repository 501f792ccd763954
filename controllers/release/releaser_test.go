package release_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/release"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

const (
	patience = 30 * time.Second
	foreign  = "example.com/held"
)

// bench is a releaser that runs, and a namespace of Workflows.
type bench struct {
	*release.Releaser
	t         *testing.T
	namespace string
	cluster   client.Client
	urgent    atomic.Bool // what its namespace is from now on
}

// newBench starts a releaser whose cache is what the test says, and whose requests go
// through the proxy.
func newBench(t *testing.T, cache func(client.Reader) client.Reader) (*bench, *fault.APIServer) {
	t.Helper()
	b, proxy := newIdleBench(t, cache)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return b, proxy
}

// newIdleBench is newBench before the start.
func newIdleBench(t *testing.T, cache func(client.Reader) client.Reader) (*bench, *fault.APIServer) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	cluster, err := client.New(local.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	through, err := client.New(proxy.Through(local.Config), client.Options{Scheme: scheme})
	require.NoError(t, err)
	b := &bench{t: t, namespace: local.NewNamespace(t), cluster: cluster}
	b.Releaser = release.New(release.Config{
		Cache: cache(cluster), Live: through, Writer: through, Urgent: func(namespace string) bool { return namespace == b.namespace && b.urgent.Load() }, Log: logr.Discard(),
	})
	return b, proxy
}

// workflow creates one that has ended, and returns its name.
func (b *bench) workflow(name string, finalizers ...string) types.NamespacedName {
	b.t.Helper()
	return b.workflowIn("Succeeded", name, finalizers...)
}

// workflowIn creates one in a phase, and returns its name.
func (b *bench) workflowIn(phase, name string, finalizers ...string) types.NamespacedName {
	b.t.Helper()
	object := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Namespace: b.namespace, Name: name, Finalizers: finalizers, Labels: map[string]string{"workflows.argoproj.io/phase": phase},
	}}
	require.NoError(b.t, b.cluster.Create(b.t.Context(), object))
	return client.ObjectKeyFromObject(object)
}

func (b *bench) finalizersAre(name types.NamespacedName, want ...string) {
	b.t.Helper()
	require.EventuallyWithT(b.t, func(c *assert.CollectT) {
		object := &wfv1.Workflow{}
		require.NoError(c, b.cluster.Get(b.t.Context(), name, object))
		require.Equal(c, want, object.Finalizers)
	}, patience, 20*time.Millisecond)
}

func upToDate(cluster client.Reader) client.Reader { return cluster }

// behind is a cache that shows an object as it was, with another version.
type behind struct{ client.Reader }

func (b behind) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := b.Reader.Get(ctx, key, object, options...)
	object.SetResourceVersion("1")
	object.SetFinalizers([]string{v1alpha1.FinalizerRecorded})
	return err
}

// blind is a cache that shows nothing.
type blind struct{ client.Reader }

func (blind) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "workflows"}, key.Name)
}

func TestOurFinalizerGoesAndNoOthers(t *testing.T) {
	t.Parallel()
	for sentence, cache := range map[string]func(client.Reader) client.Reader{
		"with a cache that is up to date": upToDate,
		"with a cache that is behind":     func(cluster client.Reader) client.Reader { return behind{cluster} },
		"with a cache that shows nothing": func(cluster client.Reader) client.Reader { return blind{cluster} },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			b, _ := newBench(t, cache)
			waits := b.workflow("waits", v1alpha1.FinalizerRecorded)
			held := b.workflow("held", foreign, v1alpha1.FinalizerRecorded)
			b.Recorded([]types.NamespacedName{held})
			b.finalizersAre(held, foreign)
			b.finalizersAre(waits, v1alpha1.FinalizerRecorded)
		})
	}
}

// Its release may have waited when it was retried in Argo.
func TestAWorkflowThatGoesOnKeepsOurFinalizer(t *testing.T) {
	t.Parallel()
	b, _ := newBench(t, upToDate)
	retried := b.workflowIn("Running", "retried", v1alpha1.FinalizerRecorded)
	ended := b.workflow("ended", v1alpha1.FinalizerRecorded)
	b.Recorded([]types.NamespacedName{retried})
	b.Recorded([]types.NamespacedName{ended})
	b.finalizersAre(ended)
	b.finalizersAre(retried, v1alpha1.FinalizerRecorded)
}

func TestAWorkflowThatIsBeingDeletedGoes(t *testing.T) {
	t.Parallel()
	b, _ := newBench(t, upToDate)
	name := b.workflowIn("Running", "going", v1alpha1.FinalizerRecorded)
	object := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	require.NoError(t, b.cluster.Delete(t.Context(), object))
	require.NoError(t, b.cluster.Get(t.Context(), name, object), "it waits for us")
	b.Recorded([]types.NamespacedName{name})
	require.Eventually(t, func() bool {
		return apierrors.IsNotFound(b.cluster.Get(t.Context(), name, object))
	}, patience, 20*time.Millisecond)
}

func TestWhatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	b, proxy := newBench(t, upToDate)
	name := b.workflow("held", v1alpha1.FinalizerRecorded)
	proxy.Break(fault.Share(1, fault.InternalError))
	b.Recorded([]types.NamespacedName{name})
	require.Eventually(t, func() bool { return len(proxy.Requests()) >= 2 }, patience, 20*time.Millisecond)
	b.finalizersAre(name, v1alpha1.FinalizerRecorded)
	proxy.Break(nil)
	b.finalizersAre(name)
}

func TestOneThatCannotBeReleasedKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	b, proxy := newBench(t, upToDate)
	stuck := b.workflow("stuck", v1alpha1.FinalizerRecorded)
	other := b.workflow("other", v1alpha1.FinalizerRecorded)
	proxy.Break(func(_ context.Context, request fault.Request) fault.Fault {
		if request.Name == stuck.Name {
			return fault.InternalError
		}
		return fault.None
	})
	b.Recorded([]types.NamespacedName{stuck})
	require.Eventually(t, func() bool { return len(proxy.Requests()) >= 2 }, patience, 20*time.Millisecond)
	b.Recorded([]types.NamespacedName{other})
	b.finalizersAre(other)
	b.finalizersAre(stuck, v1alpha1.FinalizerRecorded)
	proxy.Break(nil)
	b.finalizersAre(stuck)
}

func TestNothingIsWrittenWhereNothingHolds(t *testing.T) {
	t.Parallel()
	b, proxy := newBench(t, upToDate)
	free := b.workflow("free", foreign)
	held := b.workflow("held", v1alpha1.FinalizerRecorded)
	b.Recorded([]types.NamespacedName{free, {Namespace: b.namespace, Name: "nowhere"}, held})
	b.finalizersAre(held)
	for _, request := range proxy.Requests() {
		if request.Verb == "patch" {
			require.Equal(t, "held", request.Name)
		}
	}
}

// slowIn is a cache that answers for one namespace only when it is let.
type slowIn struct {
	client.Reader
	namespace string
	let       chan struct{}
}

func (s slowIn) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if key.Namespace == s.namespace {
		select {
		case <-s.let:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Reader.Get(ctx, key, object, options...)
}

func TestWorkflowsThatTriggersWaitForGoFirst(t *testing.T) {
	t.Parallel()
	busy := slowIn{namespace: "busy", let: make(chan struct{})}
	b, _ := newBench(t, func(cluster client.Reader) client.Reader { busy.Reader = cluster; return busy })
	before, later := b.workflow("before", v1alpha1.FinalizerRecorded), b.workflow("later", v1alpha1.FinalizerRecorded)
	var others []types.NamespacedName
	for i := range 8 { // as many as are written at once, and more
		others = append(others, types.NamespacedName{Namespace: "busy", Name: fmt.Sprintf("other-%d", i)})
	}
	b.Recorded(append(others, before))
	b.Hurry(b.namespace)
	b.finalizersAre(before)
	b.urgent.Store(true)
	b.Recorded([]types.NamespacedName{later})
	b.finalizersAre(later)
	close(busy.let)
}

func TestWhatWaitsAtTheEndIsReleased(t *testing.T) {
	t.Parallel()
	b, _ := newIdleBench(t, upToDate)
	one, other := b.workflow("one", v1alpha1.FinalizerRecorded), b.workflow("other", v1alpha1.FinalizerRecorded)
	b.Recorded([]types.NamespacedName{one})
	b.urgent.Store(true)
	b.Recorded([]types.NamespacedName{other})
	ended, end := context.WithCancel(t.Context())
	end()
	require.NoError(t, b.Start(ended))
	b.finalizersAre(one)
	b.finalizersAre(other)
}

func TestTheReleaserStartsOnceAndStopsAtAnyMoment(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable { return release.New(release.Config{Log: logr.Discard()}) })
}
