package world

import (
	"context"
	"encoding/json"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// creators is how many objects are created at once.
const creators = 8

// Create creates the objects, in no order, in the world's namespace.
func (w *World) Create(objects ...client.Object) {
	w.t.Helper()
	group, ctx := errgroup.WithContext(w.t.Context())
	group.SetLimit(creators)
	for _, object := range objects {
		object.SetNamespace(w.Namespace)
		group.Go(func() error { return w.Cluster.Create(ctx, object) })
	}
	require.NoError(w.t, group.Wait())
}

// MayReadSecrets lets the controller read Secrets of the namespace, as docs/notifications.md
// says.
func (w *World) MayReadSecrets() {
	w.t.Helper()
	require.NoError(w.t, w.environment.InstallNotifications(w.t.Context()))
	_, err := w.Kubectl(w.t.Context(), "create", "rolebinding", "penstock-notifications", "--clusterrole=penstock-notifications",
		"--serviceaccount=penstock-system:penstock")
	require.NoError(w.t, err)
}

// CreateFamily creates the pipelines.
func (w *World) CreateFamily(family given.Family) {
	w.t.Helper()
	objects := make([]client.Object, len(family))
	for i := range family {
		objects[i] = &family[i]
	}
	w.Create(objects...)
}

// Patch merges JSON into an object.
func (w *World) Patch(object client.Object, name, patch string) {
	w.t.Helper()
	object.SetName(name)
	object.SetNamespace(w.Namespace)
	require.NoError(w.t, w.Cluster.Patch(w.t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// Delete deletes the objects, whose names alone count.
func (w *World) Delete(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		object.SetNamespace(w.Namespace)
		require.NoError(w.t, w.Cluster.Delete(w.t.Context(), object))
	}
}

// Finish patches a build's status as an external CI does.
func (w *World) Finish(build string, phase v1alpha1.BuildPhase, artifacts ...v1alpha1.Artifact) {
	w.t.Helper()
	require.NoError(w.t, w.finish(w.t.Context(), build, phase, artifacts...))
}

// Succeed finishes a build with the first of given.Artifacts.
func (w *World) Succeed(build string) {
	w.t.Helper()
	require.NoError(w.t, w.TrySucceed(w.t.Context(), build))
}

// TrySucceed is Succeed for other goroutines than the test's.
func (w *World) TrySucceed(ctx context.Context, build string) error {
	return w.finish(ctx, build, v1alpha1.BuildSucceeded, given.Artifact(0))
}

func (w *World) finish(ctx context.Context, build string, phase v1alpha1.BuildPhase, artifacts ...v1alpha1.Artifact) error {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"phase": phase, "artifacts": artifacts}})
	if err != nil {
		return err
	}
	object := &v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Name: build}}
	return w.Cluster.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
}
