package world

import (
	"context"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// Elsewhere is another cluster of a world, where runs of it may be.
type Elsewhere struct {
	// Cluster reads and writes within the world's namespace there, as the administrator.
	Cluster client.Client
	// Name is the TargetCluster's.
	Name string

	world *World
	// config is how Penstock reaches it.
	config *rest.Config
}

// target is the account of config/target.
const target = "penstock-target"

// Join makes another environment a TargetCluster of the world, prepared as Prepare does. The
// oracle looks there as well. Change, where there is one, says how Penstock reaches it instead.
func (w *World) Join(name string, other *env.Environment, change ...func(*rest.Config)) *Elsewhere {
	w.t.Helper()
	there := w.Prepare(other)
	there.Name = name
	for _, one := range change {
		one(there.config)
	}
	w.elsewhere = append(w.elsewhere, there)
	there.Enroll(there.config)
	require.NoError(w.t, w.Everywhere.Create(w.t.Context(), given.TargetCluster(name)))
	w.t.Cleanup(func() { _ = w.Everywhere.Delete(context.Background(), given.TargetCluster(name)) })
	return there
}

// Prepare has runs of the world be possible in another environment, with the least rights: those
// of config/target and, in the world's namespace, of config/target/runs. The WorkflowTemplate
// given.Template exists there too.
func (w *World) Prepare(other *env.Environment) *Elsewhere {
	w.t.Helper()
	everywhere, err := other.NewClient(env.Admin)
	require.NoError(w.t, err)
	there := &Elsewhere{Cluster: client.NewNamespacedClient(everywhere, w.Namespace), world: w}
	root := filepath.Join("..", "..", "config", "target")
	for _, folder := range []string{root, filepath.Join(root, "runs")} {
		_, err := other.Kubectl(w.t.Context(), "apply", "-k", folder)
		require.NoError(w.t, err)
	}
	create := func(object client.Object) {
		require.NoError(w.t, client.IgnoreAlreadyExists(everywhere.Create(w.t.Context(), object)))
	}
	create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}})
	create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "penstock-runs"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-target-runs"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: target, Name: target}},
	})
	there.Create(given.WorkflowTemplate(given.Template, time.Second))
	there.config = &rest.Config{Host: other.Config.Host, BearerToken: tokenOf(w, everywhere)}
	there.config.CAData = other.Config.CAData
	return there
}

// Create creates objects in the world's namespace there.
func (e *Elsewhere) Create(objects ...client.Object) {
	e.world.t.Helper()
	for _, object := range objects {
		object.SetNamespace(e.world.Namespace)
		require.NoError(e.world.t, e.Cluster.Create(e.world.t.Context(), object))
	}
}

// Enroll stores how Penstock reaches the cluster from now on.
func (e *Elsewhere) Enroll(config *rest.Config) {
	e.world.t.Helper()
	secret := given.Secret(e.Name, map[string]string{"kubeconfig": kubeconfigOf(e.world, config)})
	secret.Namespace = env.ControllerNamespace
	ctx := e.world.t.Context()
	require.NoError(e.world.t, client.IgnoreNotFound(e.world.Everywhere.Delete(ctx, secret.DeepCopy())))
	require.NoError(e.world.t, e.world.Everywhere.Create(ctx, secret))
}

// Config is a copy of how Penstock reaches the cluster.
func (e *Elsewhere) Config() *rest.Config { return rest.CopyConfig(e.config) }

// tokenOf is that of the account of config/target, which the controller manager fills in.
func tokenOf(w *World, everywhere client.Client) string {
	w.t.Helper()
	var secret corev1.Secret
	w.Eventually("the token of config/target", func(ctx context.Context) bool {
		err := everywhere.Get(ctx, types.NamespacedName{Namespace: target, Name: target}, &secret)
		return err == nil && len(secret.Data["token"]) > 0
	})
	return string(secret.Data["token"])
}

func kubeconfigOf(w *World, config *rest.Config) string {
	w.t.Helper()
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"there": {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"there": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"there": {Cluster: "there", AuthInfo: "there"}},
		CurrentContext: "there",
	})
	require.NoError(w.t, err)
	return string(text)
}

// readers are all clusters that runs of the world may be in.
func (w *World) readers() []client.Reader {
	all := []client.Reader{w.Cluster}
	for _, there := range w.elsewhere {
		all = append(all, there.Cluster)
	}
	return all
}
