package remote

import (
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/given"
)

func TestALookoutNeverAsksTheClusterForWhoAsksIt(t *testing.T) {
	t.Parallel()
	there := fake.NewClientBuilder().WithScheme(scheme).Build()
	found := 0
	l := newLookout(there, func() { found++ })
	key := types.NamespacedName{Namespace: given.Namespace, Name: "late"}
	get := func() error { return l.Get(t.Context(), key, argo.Template(argo.KindTemplate)) }
	require.ErrorIs(t, get(), argo.ErrNotKnown)
	_, err := l.look(t.Context())
	require.NoError(t, err)
	require.True(t, apierrors.IsNotFound(get()))
	require.Equal(t, 1, found, "who waits is told that it does not exist")

	require.NoError(t, there.Create(t.Context(), given.WorkflowTemplate("late", 0)))
	require.True(t, apierrors.IsNotFound(get()), "nobody has looked")
	_, err = l.look(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, found)
	require.NoError(t, get())
	require.NoError(t, get(), "who was told may ask again")

	require.NoError(t, there.DeleteAllOf(t.Context(), given.WorkflowTemplate("late", 0), client.InNamespace(given.Namespace)))
	_, err = l.look(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, found, "what was found is not looked for")
}
