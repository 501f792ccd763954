package track

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;patch

// maxDoubts is how many Workflows are looked at together that seem to have been retried.
const maxDoubts = 50

func (t *Tracker) newDoubts() *batch.Committer[store.Doubt] {
	return batch.NewCoalescing(batch.Config[store.Doubt]{
		Flush: t.reopenAll, FlushTimeout: maxDoubts*lookTimeout/lookers + 2*store.PlanTimeout, MinInterval: commitInterval,
		MaxSize: maxDoubts, MaxWaiting: maxWaiting,
		OnError: func(err error, items int, retryIn time.Duration) {
			crash.Tell(t.Log, "track", err)
			t.Log.Error(err, "retried workflows not followed, will retry", "workflows", items, "retryIn", retryIn.String())
		},
	}, func(doubt store.Doubt) types.NamespacedName {
		return types.NamespacedName{Namespace: doubt.Namespace, Name: doubt.WorkflowName}
	})
}

// followRetried looks into doubts until the context ends. Those that are left are found by
// the next start, which sees every Workflow anew.
func (t *Tracker) followRetried(ctx context.Context) error {
	if err := t.doubts.Run(ctx); err != nil {
		t.Log.Info("retried workflows not followed, the next start does it", "error", err.Error())
	}
	return nil
}

// doubt looks for tasks that have ended otherwise than their Workflow was seen. What was
// seen may be out of date: only the API server tells a Workflow that was retried, by a read
// that begins after the task's end was committed.
func (t *Tracker) doubt(ctx context.Context, sightings []sighting, moved []store.Moved) error {
	var odd []store.Observation
	for _, seen := range sightings {
		observation := seen.Observation
		if seen.again {
			observation.Status = store.StatusRunning
		}
		if (seen.again || !hasMoved(observation, moved)) && mayBeRetried(observation) {
			odd = append(odd, observation)
		}
	}
	if len(odd) == 0 {
		return nil
	}
	doubts, err := t.Rows.EndedOtherwise(ctx, odd)
	for _, doubt := range doubts {
		_ = t.doubts.Add(doubt) // one that is not taken is found by the next sweep
	}
	return err
}

func hasMoved(seen store.Observation, moved []store.Moved) bool {
	return slices.ContainsFunc(moved, func(task store.Moved) bool {
		return task.WorkflowName == seen.WorkflowName && task.Namespace == seen.Namespace
	})
}

func mayBeRetried(seen store.Observation) bool {
	return seen.Gone == 0 && seen.WorkflowUID != "" && seen.Reason != v1alpha1.ReasonWorkflowDeleted &&
		(seen.Status == store.StatusRunning || seen.Status.HasEnded())
}

// look is a Workflow as the API server has it; nil where that is gone, or about to go.
type look struct {
	doubt    store.Doubt
	workflow *metav1.PartialObjectMetadata
}

// reopenAll reopens the tasks whose Workflow goes on, or has ended anew. A Workflow that
// can't be looked at now goes behind those that come meanwhile.
func (t *Tracker) reopenAll(ctx context.Context, doubts []store.Doubt) error {
	looks := make([]*look, len(doubts))
	for i, doubt := range doubts {
		looks[i] = &look{doubt: doubt}
	}
	failed := 0
	for i, err := range bounded.ForEach(ctx, lookers, lookTimeout, looks, t.lookAt) {
		if err == nil {
			continue
		}
		crash.Tell(t.Log, "track", err)
		if ctx.Err() != nil {
			return fmt.Errorf("look for workflow %s: %w", doubts[i].WorkflowName, err)
		}
		failed++
		looks[i].workflow = nil
		_ = t.doubts.Add(doubts[i])
	}
	if failed > 0 {
		t.Log.Info("retried workflows not looked at, will retry", "workflows", failed)
		pause.For(ctx, lookAgain)
	}
	return t.reopen(ctx, looks)
}

// lookAt reads the Workflow, and gives it our finalizer back where it goes on: that was
// taken off at its first end, and nothing else keeps its TTL from removing it before its
// next end is recorded.
func (t *Tracker) lookAt(ctx context.Context, l *look) error {
	key := types.NamespacedName{Namespace: l.doubt.Namespace, Name: l.doubt.WorkflowName}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		workflow := argo.Workflow()
		if err := t.Live.Get(ctx, key, workflow); err != nil {
			return err
		}
		if string(workflow.GetUID()) != l.doubt.WorkflowUID || workflow.GetDeletionTimestamp() != nil {
			return nil
		}
		l.workflow = workflow
		kept := workflow.DeepCopy()
		if argo.HasEnded(workflow) || !controllerutil.AddFinalizer(kept, v1alpha1.FinalizerRecorded) {
			return nil
		}
		return t.Writer.Patch(ctx, kept, client.MergeFromWithOptions(workflow, client.MergeFromWithOptimisticLock{}))
	})
	if apierrors.IsNotFound(err) {
		l.workflow = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at retried workflow: %w", err)
	}
	return nil
}

// reopen commits what was found, then has it observed like anything else: a Workflow that
// has ended anew ends its task so.
func (t *Tracker) reopen(ctx context.Context, looks []*look) error {
	var retried []store.Retried
	for _, l := range looks {
		if l.workflow == nil {
			continue
		}
		if seen := argo.Observe(l.workflow, false); mayBeRetried(seen) {
			retried = append(retried, store.Retried{Doubt: l.doubt, Status: seen.Status, Message: argo.Retried(l.workflow)})
		}
	}
	if len(retried) == 0 {
		return nil
	}
	reopened, err := t.Rows.Reopen(ctx, retried)
	if err != nil {
		return err
	}
	if len(reopened) > 0 {
		t.tell(reopened)
	}
	for _, l := range looks {
		if l.workflow != nil {
			seen := sightingOf(l.workflow, false)
			seen.Identity = l.doubt.Identity
			t.add(seen)
		}
	}
	return nil
}

// tell says what was reopened, after the commit.
func (t *Tracker) tell(reopened []store.Reopened) {
	moved := make([]store.Moved, len(reopened))
	for i, task := range reopened {
		moved[i] = task.Moved
		t.Log.Info("a workflow was retried in argo, its run goes on", "workflow", task.WorkflowName, "namespace", task.Namespace, "nothingFollows", task.Why)
		kind, note := corev1.EventTypeNormal, fmt.Sprintf("the run of build %s goes on with stage %s: Workflow %s was retried in Argo", task.BuildName, task.Stage, task.WorkflowName)
		if task.Why != "" {
			kind, note = corev1.EventTypeWarning, note+"; "+task.Why
		}
		pipeline := &v1alpha1.CdPipeline{ObjectMeta: metav1.ObjectMeta{Namespace: task.Namespace, Name: task.Pipeline, UID: types.UID(task.PipelineUid)}}
		t.Events.Eventf(pipeline, nil, kind, string(v1alpha1.ReasonWorkflowRetried), "Follow", "%s", clip.Note(note))
	}
	t.Moved(moved)
}
