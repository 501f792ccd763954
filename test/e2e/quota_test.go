package e2e

import (
	"context"
	"fmt"
	"strings"
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
	limitWorkflows(w, fmt.Sprint(slots))
	w.Start()
	began := time.Now()
	w.Succeed("app-1")
	w.KubectlTells("describe cibuild app-1", "QuotaExceeded", "exceeded quota: team", "attempts since", "next at")
	w.RowsAre(children, "Succeeded")
	log := w.Log()
	refused, made := len(log.Attempts())-len(log.Creates()), len(log.Creates())
	t.Logf("%d Workflows with %d slots took %s and %d refused creates", made, slots, time.Since(began), refused)
	require.Equal(t, children, made)
	require.LessOrEqual(t, refused, 2*made, "refused for each that was made")
	w.KubectlTells("describe cibuild app-1", "AllTriggered")
	w.Judge()
}

// A pipeline and the metrics tell for how long nothing could be done, and nothing happens at
// once in other namespaces' stead: a quota of 0 is never freed by a deletion.
func TestANamespaceWithoutRoomIsTriedRarelyAndEveryPipelineTellsWhy(t *testing.T) {
	const children = 30
	w := newWorld(t)
	w.CreateFamily(given.CdPipelines(children, "cd"))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("app-1"))
	quota := limitWorkflows(w, "0")
	controller := w.Start()
	w.Succeed("app-1")
	for _, pipeline := range []string{"cd-000", "cd-029"} {
		w.KubectlTells("describe cdpipeline "+pipeline, "QuotaExceeded", "exceeded quota: team", "next at")
	}
	require.NoError(t, controller.Kill())
	before := len(w.Log().Attempts())
	require.Less(t, before, 20, "one task is tried for all")
	controller = w.Start() // what it knew is lost, and learned with one attempt
	metricIs(w, controller, "penstock_delayed_tasks", children)
	require.LessOrEqual(t, len(w.Log().Attempts())-before, 6)
	raised := quota.DeepCopy()
	raised.Spec.Hard[objects] = resource.MustParse("1000")
	require.NoError(t, w.Cluster.Patch(t.Context(), raised, client.MergeFrom(quota)))
	w.RowsAre(children, "Succeeded")
	w.Eventually("an event tells it", func(ctx context.Context) bool {
		events, err := local.Kubectl(ctx, "-n", w.Namespace, "events", "--for", "cdpipeline/cd-000")
		return err == nil && strings.Contains(events, "QuotaExceeded")
	})
	w.Judge()
}
