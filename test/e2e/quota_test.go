package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// objects is the quota on Workflows.
const objects = corev1.ResourceName("count/workflows.argoproj.io")

// limitWorkflows puts a quota on the Workflows of the world's namespace, and waits until it
// is counted.
func limitWorkflows(w *world.World, most string) *corev1.ResourceQuota {
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "team"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{objects: resource.MustParse(most)}},
	}
	w.Create(quota)
	w.Eventually("the quota is counted", func(ctx context.Context) bool {
		counted := &corev1.ResourceQuota{}
		return w.Cluster.Get(ctx, types.NamespacedName{Name: "team"}, counted) == nil && len(counted.Status.Hard) > 0
	})
	return quota
}

// vanishing is a template whose Workflows last a second and are deleted at once then.
func vanishing() *wfv1.WorkflowTemplate {
	template := given.WorkflowTemplate("vanishing", time.Second)
	template.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](0)}
	return template
}

func TestAUsedUpQuotaCostsFewRefusedCreatesAndIsTold(t *testing.T) {
	const children, slots = 20, 4
	w := newWorld(t)
	w.CreateFamily(given.CdPipelines(children, "cd", given.Runs("vanishing")))
	w.Create(vanishing(), given.CiPipeline(given.CI), given.CiBuild("app-1"))
	quota := limitWorkflows(w, "0")
	w.Start()
	w.Succeed("app-1")
	w.KubectlTells("describe cibuild app-1", "QuotaExceeded", "20 runs are delayed", "exceeded quota: team", "since", "next at")
	for _, pipeline := range []string{"cd-000", "cd-019"} {
		w.KubectlTells("describe cdpipeline "+pipeline, "QuotaExceeded", "exceeded quota: team", "next at")
		w.KubectlTells("events --for cdpipeline/"+pipeline, "QuotaExceeded")
	}
	closed := len(w.Log().Attempts())
	require.Less(t, closed, children, "one task is tried for all")

	raised := quota.DeepCopy()
	raised.Spec.Hard[objects] = resource.MustParse(fmt.Sprint(slots))
	require.NoError(t, w.Cluster.Patch(t.Context(), raised, client.MergeFrom(quota)))
	began := time.Now()
	w.RowsAre(children, "Succeeded")
	log := w.Log()
	refused, made := len(log.Attempts())-len(log.Creates())-closed, len(log.Creates())
	t.Logf("%d Workflows with %d slots took %s and %d refused creates", made, slots, time.Since(began), refused)
	require.Equal(t, children, made)
	require.LessOrEqual(t, refused, 2*made, "refused for each that was made")
	w.KubectlTells("describe cibuild app-1", "AllTriggered")
	w.Judge()
}
