package fault_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/target"
)

// behind is a proxy before the API server, and the ConfigMaps of one namespace,
// through the proxy and past it.
func behind(t *testing.T) (proxy *fault.APIServer, through, direct clientv1.ConfigMapInterface) {
	t.Helper()
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	namespace := local.NewNamespace(t)
	config := proxy.Through(local.Config)
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return proxy, kubernetes.NewForConfigOrDie(config).CoreV1().ConfigMaps(namespace),
		kubernetes.NewForConfigOrDie(local.Config).CoreV1().ConfigMaps(namespace)
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func create(ctx context.Context, maps clientv1.ConfigMapInterface, name string) error {
	_, err := maps.Create(ctx, configMap(name), metav1.CreateOptions{})
	return err
}

func exists(t *testing.T, maps clientv1.ConfigMapInterface, name string) bool {
	t.Helper()
	_, err := maps.Get(t.Context(), name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		require.NoError(t, err)
	}
	return err == nil
}

// only gives the fault to creates.
func only(what fault.Fault) fault.Rule {
	return func(_ context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" {
			return what
		}
		return fault.None
	}
}

func TestRequestsAreNotedAndCredentialsPass(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	require.NoError(t, create(t.Context(), through, "a"))
	require.True(t, exists(t, through, "a"))
	_, err := through.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.NoError(t, through.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	require.False(t, exists(t, direct, "a"))
	var verbs []string
	for _, request := range proxy.Requests() {
		require.Equal(t, "configmaps", request.Resource)
		require.WithinDuration(t, time.Now(), request.At, patience)
		verbs = append(verbs, request.Verb+" "+request.Name)
	}
	require.Equal(t, []string{"create a", "get a", "list ", "delete a"}, verbs)

	nobody := kubernetes.NewForConfigOrDie(proxy.Through(local.ConfigFor(env.User("nobody"))))
	_, err = nobody.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsUnauthorized(err), err)
}

func TestRefusalsLookLikeTheServers(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	proxy.Break(only(fault.InternalError))
	err := create(t.Context(), through, "a")
	require.True(t, apierrors.IsInternalError(err), err)
	proxy.Break(only(fault.TooManyRequests))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	require.Error(t, create(ctx, through, "a"), "client-go waits for a second before it tries again")
	require.False(t, exists(t, direct, "a"))
}

func TestARetryAfterIsObeyedByClientGo(t *testing.T) {
	t.Parallel()
	proxy, through, _ := behind(t)
	var refuse sync.Once
	proxy.Break(func(context.Context, fault.Request) (answer fault.Fault) {
		refuse.Do(func() { answer = fault.TooManyRequests })
		return answer
	})
	require.NoError(t, create(t.Context(), through, "a"))
	requests := proxy.Requests()
	require.Len(t, requests, 2)
	require.Equal(t, fault.TooManyRequests, requests[0].Fault)
	require.GreaterOrEqual(t, requests[1].At.Sub(requests[0].At), time.Second)
}

func TestATimeoutReachesNobodyAndALostReplyIsToWhatWasDone(t *testing.T) {
	t.Parallel()
	for what, done := range map[fault.Fault]bool{fault.Timeout: false, fault.LostReply: true} {
		t.Run(what.String(), func(t *testing.T) {
			t.Parallel()
			proxy, through, direct := behind(t)
			proxy.Break(only(what))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, create(ctx, through, "a"), context.DeadlineExceeded)
			require.Equal(t, done, exists(t, direct, "a"))
			proxy.Break(nil)
			require.Equal(t, done, apierrors.IsAlreadyExists(create(t.Context(), through, "a")))
		})
	}
}

func TestWhatARuleHoldsUpArrivesAlthoughItsClientHasGivenUp(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	var gate fault.Gate
	gate.Shut()
	proxy.Break(func(_ context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" {
			_ = gate.Pass(context.Background())
		}
		return fault.None
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, create(ctx, through, "late"), context.DeadlineExceeded)
	require.Equal(t, "late", proxy.Requests()[0].Name, "it is noted all the same")
	require.False(t, exists(t, direct, "late"))
	gate.Open()
	require.Eventually(t, func() bool { return exists(t, direct, "late") }, patience, 20*time.Millisecond)
}

func TestAShareOfTheRequestsFails(t *testing.T) {
	t.Parallel()
	proxy, through, _ := behind(t)
	proxy.Break(fault.Share(0.3, fault.InternalError))
	const all = 400
	failed := 0
	for range all {
		if _, err := through.Get(t.Context(), "none", metav1.GetOptions{}); apierrors.IsInternalError(err) {
			failed++
		}
	}
	require.InDelta(t, 0.3*all, failed, 50, "5 standard deviations")
}

// watched is a watch, and what comes of creating these ConfigMaps one after the
// other.
func watched(t *testing.T, through, direct clientv1.ConfigMapInterface, names ...string) <-chan string {
	t.Helper()
	list, err := direct.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	events, err := through.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	require.NoError(t, err)
	t.Cleanup(events.Stop)
	for _, name := range names {
		require.NoError(t, create(t.Context(), direct, name))
	}
	seen := make(chan string, 100)
	go func() {
		defer close(seen)
		for event := range events.ResultChan() {
			if object, ok := event.Object.(*corev1.ConfigMap); ok {
				seen <- fmt.Sprint(event.Type, " ", object.Name)
			}
		}
	}()
	return seen
}

func requireEvents(t *testing.T, seen <-chan string, want ...string) {
	t.Helper()
	for _, one := range want {
		select {
		case got := <-seen:
			require.Equal(t, one, got)
		case <-time.After(patience):
			t.Fatalf("%s never came", one)
		}
	}
}

func TestEventsAreDroppedRepeatedAndReordered(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		disturbance fault.Disturbance
		want        []string
	}{
		"nothing is disturbed":     {nil, []string{"ADDED a", "ADDED b", "ADDED last"}},
		"all are repeated":         {fault.Repeat(1), []string{"ADDED a", "ADDED a", "ADDED b", "ADDED b", "ADDED last", "ADDED last"}},
		"one comes after the next": {fault.Reorder(1), []string{"ADDED b", "ADDED a"}},
		"b is dropped": {func(ctx context.Context, event fault.Event) []fault.Event {
			if event.Name() == "b" {
				return fault.Drop(1)(ctx, event)
			}
			return fault.Drop(0)(ctx, event)
		}, []string{"ADDED a", "ADDED last"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			proxy, through, direct := behind(t)
			proxy.Disturb("configmaps", c.disturbance)
			requireEvents(t, watched(t, through, direct, "a", "b", "last"), c.want...)
		})
	}
}

func TestEventsThatAreHeldComeInTheEnd(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	var gate fault.Gate
	gate.Shut()
	proxy.Disturb("configmaps", fault.Held(&gate))
	seen := watched(t, through, direct, "a", "b")
	select {
	case event := <-seen:
		t.Fatalf("%s came while it was held", event)
	case <-time.After(300 * time.Millisecond):
	}
	gate.Open()
	requireEvents(t, seen, "ADDED a", "ADDED b")
}

func TestAProxyThatIsClosedAnswersNobody(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	proxy.Break(only(fault.Timeout))
	hanging := make(chan error, 1)
	go func() { hanging <- create(context.Background(), through, "a") }()
	require.Eventually(t, func() bool { return len(proxy.Requests()) == 1 }, patience, 10*time.Millisecond)
	seen := watched(t, through, direct)
	proxy.Close()
	require.Error(t, <-hanging)
	for range seen {
		t.Fatal("an event came")
	}
	require.Error(t, create(t.Context(), through, "b"))
}

func TestAnAnswerMayBeHalfAndACertificateAnother(t *testing.T) {
	t.Parallel()
	proxy, through, direct := behind(t)
	require.NoError(t, create(t.Context(), direct, "a"))
	all := func(what fault.Fault) {
		proxy.Break(func(context.Context, fault.Request) fault.Fault { return what })
	}
	all(fault.HalfBody)
	_, err := through.Get(t.Context(), "a", metav1.GetOptions{})
	require.ErrorContains(t, err, "INTERNAL_ERROR")
	all(fault.HungBody)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = through.Get(ctx, "a", metav1.GetOptions{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	all(fault.Unauthorized)
	_, err = through.Get(t.Context(), "a", metav1.GetOptions{})
	require.True(t, apierrors.IsUnauthorized(err), err)

	proxy.Break(nil)
	proxy.Renew(target.Certificate(time.Now().Add(-time.Hour), time.Hour+time.Minute))
	_, err = through.Get(t.Context(), "a", metav1.GetOptions{})
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	renewed := kubernetes.NewForConfigOrDie(proxy.Through(local.Config))
	_, err = renewed.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
}
