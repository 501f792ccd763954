package track

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/batch"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/pause"
)

const (
	// lookers is how many requests are in flight at once, lookTimeout bounds the two that
	// one Workflow needs, waiting for the API's token bucket included.
	lookers, lookTimeout = 4, 60 * time.Second
	// maxDepartures is how many Workflows are looked for together.
	maxDepartures = 50
	// lookAgain is the pause after a group of which none could be looked for.
	lookAgain = time.Second
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;patch

// departure is a Workflow that left the watch before it had ended: it is gone, or
// somebody, such as its template, has given it another label.
type departure struct {
	key types.NamespacedName
	// lost is what it means where it is gone.
	lost sighting
}

func departureOf(workflow client.Object) departure {
	return departure{key: client.ObjectKeyFromObject(workflow), lost: sightingOf(workflow, true)}
}

func (t *Tracker) newDepartures() *batch.Committer[departure] {
	return batch.NewCoalescing(batch.Config[departure]{
		Flush: t.confirmAll, FlushTimeout: maxDepartures*lookTimeout/lookers + lookAgain, MinInterval: commitInterval,
		MaxSize: maxDepartures, MaxWaiting: maxWaiting,
		OnError: func(err error, items int, retryIn time.Duration) {
			t.Log.Error(err, "departed workflows not looked for, will retry", "workflows", items, "retryIn", retryIn.String())
		},
	}, func(left departure) key { return keyOf(left.lost) })
}

// confirmAll looks for each Workflow at the API server. What can't be looked for now goes
// behind those that come meanwhile.
func (t *Tracker) confirmAll(ctx context.Context, group []departure) error {
	failed := 0
	for i, err := range bounded.ForEach(ctx, lookers, lookTimeout, group, t.confirm) {
		if err == nil {
			continue
		}
		crash.Tell(t.Log, "track", err)
		failed++
		if ctx.Err() != nil {
			return fmt.Errorf("look for workflow %s: %w", group[i].key, err)
		}
		t.depart(group[i])
	}
	if failed == len(group) {
		t.Log.Info("departed workflows not looked for, will retry", "workflows", failed)
		pause.For(ctx, lookAgain)
	}
	return nil
}

// confirm tells a Workflow that is gone from one that only lost our labels, which it is
// given back, so that the watch shows it again.
func (t *Tracker) confirm(ctx context.Context, left departure) error {
	workflow := argo.Workflow()
	err := t.Live.Get(ctx, left.key, workflow)
	if apierrors.IsNotFound(err) || (err == nil && string(workflow.GetUID()) != left.lost.WorkflowUID) {
		t.add(left.lost)
		return nil
	}
	if err != nil {
		return fmt.Errorf("get workflow: %w", err)
	}
	if !isLabelled(workflow, left.lost.Identity) {
		if err := t.relabel(ctx, workflow, left.lost.Identity); err != nil {
			return client.IgnoreNotFound(err)
		}
		t.Log.Info("gave a workflow its labels back", "workflow", left.key.Name, "namespace", left.key.Namespace)
	}
	seen := sightingOf(workflow, false)
	seen.Identity = left.lost.Identity
	t.add(seen)
	return nil
}

func isLabelled(workflow client.Object, identity string) bool {
	labels := workflow.GetLabels()
	return labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelIdentity] == identity
}

func (t *Tracker) relabel(ctx context.Context, workflow client.Object, identity string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelIdentity: identity,
	}}})
	if err != nil {
		return fmt.Errorf("encode labels: %w", err)
	}
	if err := t.Writer.Patch(ctx, workflow, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("patch workflow: %w", err)
	}
	return nil
}

func (t *Tracker) depart(left departure) {
	_ = t.departed.Add(left) // one that is not taken is found by the next sweep
}
