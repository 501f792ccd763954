package report

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// namedHolders is how many of the holders a condition names.
	namedHolders = 5
	// heldBy begins the part of a message that names them.
	heldBy = "; the oldest are "
)

// heldBack are the pipelines that were reported to wait at the backlog gate.
type heldBack []types.NamespacedName

// addHeldBack has those pipelines reported that the gate holds back, once it is known who
// holds it, and those that it held back until now.
func (r *Reporter) addHeldBack(ctx context.Context) error {
	before := r.heldBack
	if r.holders() == "" {
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

// holders names the oldest Workflows that keep the gate closed; empty while it is open, or
// has been closed for a short time only.
func (r *Reporter) holders() string {
	if r.Holders == nil {
		return ""
	}
	oldest := r.Holders()
	if len(oldest) == 0 {
		return ""
	}
	var text []string
	for _, holder := range oldest[:min(len(oldest), namedHolders)] {
		text = append(text, holder.String())
	}
	if len(oldest) > namedHolders {
		text = append(text, "…")
	}
	return heldBy + strings.Join(text, ", ")
}

// nameHolders adds the holders to what a build that waits at the gate tells.
func (r *Reporter) nameHolders(conditions []metav1.Condition) {
	triggered := meta.FindStatusCondition(conditions, v1alpha1.ConditionTriggered)
	if triggered != nil && triggered.Reason == string(v1alpha1.ReasonBacklogFull) {
		triggered.Message += r.holders()
	}
}

// heldBackText says what a pipeline's stage waits for at the gate; empty where it does not,
// or nobody knows yet who holds it.
func (r *Reporter) heldBackText(run *store.LastRun) string {
	holders := r.holders()
	closed, active, most := r.Gate()
	if run == nil || run.Status != store.StatusPending || run.DelayedBy != "" || !closed || holders == "" {
		return ""
	}
	return fmt.Sprintf("Workflows to finish: %d are unfinished, and MAX_ACTIVE_WORKFLOWS is %d%s", active, most, holders)
}
