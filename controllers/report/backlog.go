package report

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// heldBack are the pipelines that were reported to wait at the backlog gate.
type heldBack []types.NamespacedName

// addHeldBack has those pipelines reported that the gate holds back, once it is known who
// holds it, and those that it held back until now.
func (r *Reporter) addHeldBack(ctx context.Context) error {
	before := r.heldBack
	if len(r.holders()) == 0 {
		r.heldBack = nil
		r.Pipelines(before...)
		return nil
	}
	waiting, err := r.Rows.HeldBackPipelines(ctx)
	if err != nil {
		return err
	}
	r.heldBack = waiting
	r.Pipelines(append(before, waiting...)...)
	return nil
}

// holders are the oldest Workflows that keep the gate closed; none while it is open, or has
// been closed for a short time only.
func (r *Reporter) holders() []string {
	if r.Holders == nil {
		return nil
	}
	var names []string
	for _, holder := range r.Holders() {
		names = append(names, holder.String())
	}
	return explain.Holders(names)
}

// nameHolders adds the holders to what a build that waits at the gate tells.
func (r *Reporter) nameHolders(conditions []metav1.Condition) {
	triggered := meta.FindStatusCondition(conditions, v1alpha1.ConditionTriggered)
	if triggered != nil && triggered.Reason == string(v1alpha1.ReasonBacklogFull) {
		triggered.Message += explain.OldestAre(r.holders())
	}
}

// heldBackText says what a pipeline's stage waits for at the gate; empty where it does not,
// or nobody knows yet who holds it.
func (r *Reporter) heldBackText(run *store.LastRun) string {
	holders := r.holders()
	closed, active, most := r.Gate()
	if run == nil || run.Cluster != "" || run.Status != store.StatusPending || run.DelayedBy != "" || !closed || len(holders) == 0 {
		return ""
	}
	return explain.Gate(active, most, holders)
}
