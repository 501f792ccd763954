package chaos

import (
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

func TestAForeignWorkflowOfTheWantedNameIsNeverAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"),
		given.CdPipeline("plain"), given.CdPipeline("disguised"), given.CdPipeline("stolen"), given.CdPipeline("neighbour"))
	foreign := []*wfv1.Workflow{
		foreignWorkflow(t, w, "plain", func(*wfv1.Workflow) {}),
		foreignWorkflow(t, w, "disguised", wear("another")),
		foreignWorkflow(t, w, "stolen", wear(identityOf(t, w, "neighbour"))),
	}
	for _, workflow := range foreign {
		w.Create(workflow)
	}
	w.Start()
	w.Succeed("b1")
	w.RowsAre(1, "Succeeded")
	w.RowsAre(len(foreign), "Error")
	rest(w) // nobody changes its mind
	require.Equal(t, len(foreign), w.Count(`SELECT count(*) FROM task WHERE status = 'Error' AND reason = 'NameConflict'`))
	for _, workflow := range foreign {
		now := &wfv1.Workflow{}
		require.NoError(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(workflow), now))
		require.Equal(t, workflow.UID, now.UID)
		require.Equal(t, workflow.Labels[v1alpha1.LabelIdentity], now.Labels[v1alpha1.LabelIdentity])
		require.Equal(t, workflow.OwnerReferences, now.OwnerReferences)
	}
	w.Judge()
}

// The API server takes what Postgres can't store.
func TestAForeignWorkflowThatTheDatabaseCannotStoreStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("plain"))
	w.Start()
	hostile := foreignWorkflow(t, w, "plain", wear("another"))
	hostile.Name = "hostile"
	hostile.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "any", UID: "\x00", Controller: ptr.To(true)}}
	w.Create(hostile)
	w.Succeed("b1")
	w.RowsAre(1, "Succeeded")
	require.NoError(t, client.IgnoreNotFound(w.Cluster.Delete(t.Context(), hostile))) // it has no owner that exists
	w.Judge()
}

// foreignWorkflow is somebody else's Workflow, under the name that Penstock will give
// that of a pipeline's first run for the build.
func foreignWorkflow(t *testing.T, w *world.World, pipeline string, change func(*wfv1.Workflow)) *wfv1.Workflow {
	t.Helper()
	workflow := &wfv1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Name: trigger.WorkflowName(pipeline, wanted(t, w, pipeline))},
		Spec:       wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: given.Template}},
	}
	change(workflow)
	return workflow
}

// wanted is the identity of the pipeline's first task for the build.
func wanted(t *testing.T, w *world.World, pipeline string) trigger.Identity {
	t.Helper()
	target := &v1alpha1.CdPipeline{}
	require.NoError(t, w.Cluster.Get(t.Context(), client.ObjectKey{Name: pipeline}, target))
	return trigger.Identity{
		BuildUID: string(w.Build(t.Context(), "b1").UID), Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		PipelineUID: string(target.UID), Run: 1, Stage: trigger.StageDeploy,
	}
}

func identityOf(t *testing.T, w *world.World, pipeline string) string {
	t.Helper()
	identity := wanted(t, w, pipeline)
	return identity.Hash()
}

// wear has it wear our labels, name a task, and carry an identity that is not the task's.
func wear(identity string) func(*wfv1.Workflow) {
	return func(workflow *wfv1.Workflow) {
		workflow.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTask: "1", v1alpha1.LabelIdentity: identity}
	}
}
