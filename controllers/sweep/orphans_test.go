package sweep

import (
	"context"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/store"
)

func (t *table) Orphans(_ context.Context, workflows []types.NamespacedName) ([]store.Orphan, error) {
	var found []store.Orphan
	for _, name := range workflows {
		if slices.Contains(t.orphans, name.Name) || slices.Contains(t.retried, name.Name) {
			found = append(found, store.Orphan{
				Namespace: name.Namespace, WorkflowName: name.Name, Status: store.StatusCancelled, HadWorkflow: slices.Contains(t.retried, name.Name),
			})
		}
	}
	return found, nil
}

func (t *table) Unknown(_ context.Context, workflows []types.NamespacedName) ([]types.NamespacedName, error) {
	return workflows, nil
}

func (t *table) Adopt(_ context.Context, adoption store.Adoption) (bool, error) {
	t.adopted = append(t.adopted, adoption)
	return !t.known, nil
}

// old makes every Workflow look as old as it must be.
type old struct{ client.Reader }

func (o old) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := o.Reader.List(ctx, list, options...)
	if workflows, ok := list.(*metav1.PartialObjectMetadataList); ok {
		for i := range workflows.Items {
			workflows.Items[i].CreationTimestamp = metav1.NewTime(time.Now().Add(-2 * settled))
		}
	}
	return err
}

func TestAWorkflowWhoseTaskEndedWithoutItIsStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	recorder := events.NewFakeRecorder(10)
	b.Cache, b.Writer, b.Events, b.Log = old{client.NewNamespacedClient(b.cluster, b.namespace)}, b.cluster, recorder, logr.Discard()
	for name, phase := range map[string]string{"late": "Running", "waits": "", "wanted": "Running", "over": "Succeeded", "retried": "Running"} {
		b.workflow(name, phase)
	}
	b.orphans, b.retried = []string{"late", "waits", "over"}, []string{"retried"}
	require.NoError(t, b.stopOrphans(t.Context()))
	require.Equal(t, []string{"retried Running"}, b.told, "the tracker looks into one that had its task")
	require.Equal(t, []string{"late", "waits"}, b.stopped())
	require.Len(t, recorder.Events, 2)
	require.Contains(t, <-recorder.Events, "its task had ended as Cancelled before it was created")
}

func TestAYoungWorkflowIsNoOrphan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Cache = client.NewNamespacedClient(b.cluster, b.namespace)
	b.workflow("late", "Running")
	b.orphans = []string{"late"}
	require.NoError(t, b.stopOrphans(t.Context()))
	require.Empty(t, b.stopped())
}

// stopped are the Workflows that Argo is to stop.
func (b *bench) stopped() []string {
	b.t.Helper()
	var list wfv1.WorkflowList
	require.NoError(b.t, b.cluster.List(b.t.Context(), &list, client.InNamespace(b.namespace)))
	var names []string
	for _, workflow := range list.Items {
		if workflow.Spec.Shutdown == wfv1.ShutdownStrategyStop {
			names = append(names, workflow.Name)
		}
	}
	slices.Sort(names)
	return names
}
