package cluster

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

// tellLane has the status tell whether Workflows are created in the cluster. It does not while
// there is nothing to do there (nil), since nobody looks then.
func tellLane(status *v1alpha1.TargetClusterStatus, generation int64, lane *store.ClusterLane) {
	if lane == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionLaneOpen)
		return
	}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionLaneOpen, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: string(v1alpha1.ReasonLaneOpen), Message: "Workflows of runs and builds are created in the cluster",
	}
	if !lane.IsOpen() {
		condition.Status, condition.Reason = metav1.ConditionFalse, string(lane.Reason)
		condition.Message = clip.Text(lane.Message, maxMessage)
		condition.LastTransitionTime = metav1.NewTime(lane.Since)
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}

// told is what a status tells of the lane. Messages of one class of errors differ from one try to
// the next, and are left out; that of another cluster names its UID.
type told struct{ status, reason, message string }

func laneOf(status v1alpha1.TargetClusterStatus) told {
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionLaneOpen)
	if condition == nil {
		return told{}
	}
	lane := told{status: string(condition.Status), reason: condition.Reason}
	if condition.Reason == string(v1alpha1.ReasonClusterChanged) {
		lane.message = condition.Message
	}
	return lane
}

// laneNews is the Kubernetes event that a status write makes true of the lane; none where ok is
// false.
func laneNews(before, after v1alpha1.TargetClusterStatus) (kind, reason, note string, ok bool) {
	condition := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionLaneOpen)
	wasShut := meta.IsStatusConditionFalse(before.Conditions, v1alpha1.ConditionLaneOpen)
	switch {
	case condition == nil || laneOf(before) == laneOf(after):
		return "", "", "", false
	case condition.Status == metav1.ConditionFalse:
		note := clip.Note(fmt.Sprintf("nothing is triggered in the cluster: %s: %s", condition.Reason, condition.Message))
		return corev1.EventTypeWarning, string(v1alpha1.ReasonLaneShut), note, true
	default:
		return corev1.EventTypeNormal, string(v1alpha1.ReasonLaneOpen), "triggers go on in the cluster", wasShut
	}
}
