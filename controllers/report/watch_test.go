package report

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAReplicaThatStandsByGathersNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	informers := &informertest.FakeInformers{Scheme: d.server.Scheme()}
	require.NoError(t, d.Watch(t.Context(), informers))
	builds, err := informers.FakeInformerFor(t.Context(), &v1alpha1.CiBuild{})
	require.NoError(t, err)
	builds.Add(given.CiBuild("b1"))
	require.Empty(t, d.builds.take(1))

	stop, err := d.listen(t.Context())
	require.NoError(t, err)
	defer stop()
	builds.Add(given.CiBuild("b2"))
	require.Equal(t, []types.NamespacedName{named("b2")}, d.builds.take(2))
}

func TestWhatThereIsAtTheStartComesAfterWhatChanges(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	handle := handler(t.Context(), d.buildKnown, d.buildChanged)
	handle.OnAdd(given.CiBuild("old"), true)
	handle.OnAdd(given.CiBuild("new"), false)
	handle.OnUpdate(given.CiBuild("running"), given.CiBuild("running"))
	handle.OnUpdate(given.CiBuild("ended"), given.CiBuild("ended", func(b *v1alpha1.CiBuild) { b.Status.Phase = v1alpha1.BuildSucceeded }))
	require.Equal(t, []types.NamespacedName{named("new"), named("ended"), named("old")}, d.builds.take(9))
}
