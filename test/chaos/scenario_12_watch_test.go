package chaos

import (
	"context"
	"sync"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// after applies one disturbance to what the other leaves.
func after(first, second fault.Disturbance) fault.Disturbance {
	return func(ctx context.Context, event fault.Event) []fault.Event {
		var events []fault.Event
		for _, one := range first(ctx, event) {
			events = append(events, second(ctx, one)...)
		}
		return events
	}
}

// What is dropped is found by the sweeps, once its row has been quiet for 30 s.
func TestWatchEventsThatAreDroppedRepeatedOrReorderedChangeNoEnd(t *testing.T) {
	long(t)
	t.Parallel()
	children := 40
	for sentence, disturbance := range map[string]fault.Disturbance{
		"dropped":           fault.Drop(0.4),
		"repeated":          fault.Repeat(0.5),
		"reordered":         fault.Reorder(0.5),
		"all of it at once": after(fault.Drop(0.2), after(fault.Repeat(0.3), fault.Reorder(0.5))),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.PodTemplate("failing-pod", "1"))
			w.CreateFamily(given.CdPipelines(children, "cd"))
			w.CreateFamily(given.FamilyOf(given.CdPipeline("fails", given.Runs("failing-pod"))))
			proxy, _ := proxied(t, w)
			proxy.Disturb("workflows", disturbance)
			w.Succeed("b1")
			w.RowsAre(children, "Succeeded")
			w.RowsAre(1, "Failed")
			require.Len(t, w.Workflows(), children+1)
			w.MadeAre(children + 1)
			w.Judge()
		})
	}
}

// vanishing is a template whose Workflows take a second, and are deleted as soon as
// they have ended. Argo's controller does so for ten in a second, over all tests at once:
// deleteEnded does it in time.
func vanishing() *wfv1.WorkflowTemplate {
	template := given.WorkflowTemplate("vanishing", time.Second)
	template.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To[int32](0)}
	return template
}

// deleteEnded deletes Workflows that have ended, until the test ends.
func deleteEnded(t *testing.T, w *world.World) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var deleting sync.WaitGroup
	t.Cleanup(deleting.Wait)
	t.Cleanup(stop)
	deleting.Go(func() {
		_ = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			var list wfv1.WorkflowList
			_ = w.Cluster.List(ctx, &list) // what fails is tried again
			for i := range list.Items {
				if list.Items[i].Status.Fulfilled() && list.Items[i].DeletionTimestamp == nil {
					_ = w.Cluster.Delete(ctx, &list.Items[i])
				}
			}
			return false, nil
		})
	})
}

// allVanished waits until no Workflow is left.
func allVanished(w *world.World) {
	w.Eventually("every Workflow is deleted", func(context.Context) bool { return len(w.Workflows()) == 0 })
}

func TestAWorkflowThatIsDeletedAsSoonAsItEndsIsRecordedAsItEnded(t *testing.T) {
	t.Parallel()
	children := sized(40, 10)
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), vanishing())
	w.CreateFamily(given.CdPipelines(children, "cd", given.Runs("vanishing")))
	w.CreateFamily(given.FamilyOf(given.CdPipeline("below", given.BelowCd("cd-000"))))
	deleteEnded(t, w)
	w.Start()
	w.Succeed("b1")
	w.RowsAre(children+1, "Succeeded")
	w.MadeAre(children + 1)
	allVanished(w)
	w.Judge()
}

// The controller is killed when it has created a Workflow and not recorded it. The
// Workflow ends and is deleted before the next controller starts.
func TestAWorkflowThatEndsAndIsDeletedWhileNobodyLooksIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	const children = 5
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), vanishing())
	w.CreateFamily(given.CdPipelines(children, "cd", given.Runs("vanishing")))
	deleteEnded(t, w)
	broken := breaking(w, string(failpoint.SubmitAfterCreate)+"=3*kill")
	require.NoError(t, broken.WaitReady(t.Context()))
	w.Succeed("b1")
	require.True(t, killedWithin(t, broken, world.Patience))
	w.Eventually("what was made is deleted, or waits for the record", func(context.Context) bool {
		for _, workflow := range w.Workflows() {
			if workflow.DeletionTimestamp == nil {
				return false
			}
		}
		return true
	})
	w.Launch(env.ControllerOptions{})
	w.RowsAre(children, "Succeeded")
	w.MadeAre(children)
	allVanished(w)
	w.Judge()
}
