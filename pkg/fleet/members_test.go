package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// ours is where Penstock lives.
const ours = "penstock-system"

// company is members before an API server in memory. What the watches would tell, a test
// tells itself; controllers/cluster has the same on a real one.
type company struct {
	*Members
	t      *testing.T
	server client.WithWatch

	mu    sync.Mutex
	reads int
	down  bool
}

func newCompany(t *testing.T, objects ...client.Object) *company {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	require.NoError(t, corev1.AddToScheme(scheme))
	c := &company{t: t, server: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).Build()}
	live := interceptor.NewClient(c.server, interceptor.Funcs{Get: func(
		ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
	) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads++
		if c.down {
			return errors.New("etcdserver: request timed out")
		}
		return server.Get(ctx, key, object, options...)
	}})
	c.Members = NewMembers(MembersConfig{Namespace: ours, Cache: c.server, Live: live, UserAgent: "penstock/test"})
	t.Cleanup(c.Close)
	return c
}

func secretOf(name string, kubeconfig []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: name}, Data: map[string][]byte{"kubeconfig": kubeconfig}}
}

func (c *company) isDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func TestAClientIsMadeOnceAndAnewWhenTheKubeconfigIsAnother(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	secret := secretOf("eu", server.Kubeconfig(t))
	c := newCompany(t, given.TargetCluster("eu"), secret)
	first, err := c.Client(t.Context(), "eu")
	require.NoError(t, err)
	require.Nil(t, Probe(t.Context(), first, nil).Failure)
	again, err := c.Client(t.Context(), "eu")
	require.NoError(t, err)
	require.Same(t, first, again)
	require.Equal(t, 1, c.reads, "the Secret is read when it is needed")

	secret.Labels = map[string]string{"a": "b"}
	require.NoError(t, c.server.Update(t.Context(), secret))
	c.secretChanged(secret, false)
	again, err = c.Client(t.Context(), "eu")
	require.NoError(t, err)
	require.Same(t, first, again, "the kubeconfig is the same")

	secret.Data["kubeconfig"] = append(server.Kubeconfig(t), "# another\n"...)
	require.NoError(t, c.server.Update(t.Context(), secret))
	c.secretChanged(secret, false)
	c.isDown(true)
	_, err = c.Client(t.Context(), "eu")
	require.ErrorContains(t, err, "get Secret eu")
	var failure *Failure
	require.NotErrorAs(t, err, &failure, "that is not the cluster's fault")
	c.isDown(false)
	next, err := c.Client(t.Context(), "eu")
	require.NoError(t, err)
	require.NotSame(t, first, next)
	require.NotNil(t, Probe(t.Context(), first, nil).Failure, "the old one is closed")
	require.Nil(t, Probe(t.Context(), next, nil).Failure)

	require.NoError(t, c.server.Delete(t.Context(), secret))
	c.secretChanged(secret, true)
	_, err = c.Client(t.Context(), "eu")
	requireRefused(t, err, "Secret eu does not exist in namespace penstock-system")
	require.Zero(t, c.Connections())
}

func TestWhoIsNoMemberHasNoClient(t *testing.T) {
	t.Parallel()
	c := newCompany(t, given.TargetCluster("virtual", given.Virtual), given.TargetCluster("home", given.InCluster),
		given.TargetCluster("suspended", func(c *v1alpha1.TargetCluster) { c.Spec.Suspend = true }))
	for _, name := range []string{"virtual", "suspended", "nobody"} {
		_, err := c.Client(t.Context(), name)
		require.ErrorIs(t, err, ErrNoMember, name)
	}
	_, err := c.Client(t.Context(), "home")
	requireAsk(t, err, "Penstock does not know its own cluster")
	c.Namespace = ""
	require.NoError(t, c.server.Create(t.Context(), given.TargetCluster("eu")))
	_, err = c.Client(t.Context(), "eu")
	requireAsk(t, err, "set POD_NAMESPACE")
	require.Empty(t, c.entries["nobody"], "names that nobody has are not remembered")
}

func requireAsk(t *testing.T, err error, says string) {
	t.Helper()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, BadKubeconfig, failure.Class)
	require.Contains(t, failure.Message, says)
}

func TestMembersAreSelectedByTheirLabelsInOrder(t *testing.T) {
	t.Parallel()
	c := newCompany(t, given.TargetCluster("c", given.Labelled("region", "eu")), given.TargetCluster("a", given.Labelled("region", "eu")), given.TargetCluster("b"))
	selector, err := labels.Parse("region=eu")
	require.NoError(t, err)
	all, err := c.All(t.Context(), selector)
	require.NoError(t, err)
	require.Equal(t, "a c", all[0].Name+" "+all[1].Name)
	require.Len(t, all, 2)
}

func TestASecretIsKeptWithoutWhatItHolds(t *testing.T) {
	t.Parallel()
	secret := secretOf("eu", []byte("hunter2"))
	secret.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: "hunter2"}
	kept, err := TrimSecret(secret)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", kept), "hunter2")
	require.Equal(t, "eu", kept.(*corev1.Secret).Name)
}

// Each is asked for by several at once, half of them are connected, and some are removed
// meanwhile. goleak in TestMain finds what
// is left.
func TestAThousandMembersThatComeAndGoLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	kubeconfig := server.Kubeconfig(t)
	const clusters = 1000
	objects := []client.Object{secretOf("shared", kubeconfig)}
	for i := range clusters {
		objects = append(objects, given.TargetCluster(fmt.Sprintf("c%d", i), func(c *v1alpha1.TargetCluster) { c.Spec.KubeconfigSecretRef.Name = "shared" }))
	}
	c := newCompany(t, objects...)
	slots := make(chan struct{}, 20)
	var group sync.WaitGroup
	for i, object := range objects[1:] {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			var askers sync.WaitGroup
			for range 2 {
				askers.Go(func() {
					reached, err := c.Client(context.Background(), object.GetName())
					if err == nil && i%2 == 0 {
						Probe(context.Background(), reached, nil)
					}
				})
			}
			if len(object.GetName())%2 == 0 {
				askers.Wait()
			}
			if err := c.server.Delete(context.Background(), object); err != nil {
				panic(err)
			}
			c.clusterChanged(object, true)
			askers.Wait()
		})
	}
	group.Wait()
	require.Zero(t, c.Connections())
	require.Empty(t, c.entries)
}
