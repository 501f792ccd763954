package cluster

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/fleet"
)

// refresh is how old the status may become while nothing changes.
const refresh = 5 * time.Minute

// maxMessage is the most bytes of a message.
const maxMessage = 1024

// statusOf is what a TargetCluster's status is to tell.
func statusOf(before v1alpha1.TargetClusterStatus, generation int64, health fleet.Health) v1alpha1.TargetClusterStatus {
	after := v1alpha1.TargetClusterStatus{
		Phase: health.Phase, Reason: string(health.Reason), Message: clip.Text(health.Message, maxMessage), Version: health.Version,
		LatencyMillis: health.Latency.Milliseconds(), Since: timeOf(health.Since), CheckedAt: timeOf(health.CheckedAt),
		Permissions: health.Permissions.DeepCopy(), Conditions: slices.Clone(before.Conditions),
	}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: after.Reason, Message: after.Message, LastTransitionTime: metav1.NewTime(health.Since),
	}
	switch health.Phase {
	case v1alpha1.ClusterHealthy:
		condition.Status = metav1.ConditionTrue
	case v1alpha1.ClusterVirtual, v1alpha1.ClusterUnknown:
		condition.Status = metav1.ConditionUnknown
	}
	meta.SetStatusCondition(&after.Conditions, condition)
	return after
}

func timeOf(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	converted := metav1.NewTime(at.Truncate(time.Second))
	return &converted
}

// needsWrite tells whether the status has become another, or old. The latency and the time
// of the last probe alone are no change, nor is another message of one class: a server may
// answer 500 and 503 in turns. What is wrong with a kubeconfig changes only when somebody
// works on it.
func needsWrite(before, after v1alpha1.TargetClusterStatus, now time.Time) bool {
	isWorkedOn := after.Reason == string(fleet.BadKubeconfig) && before.Message != after.Message
	if hasChanged(before, after) || isWorkedOn || !samePermissions(before.Permissions, after.Permissions) ||
		generationOf(before) != generationOf(after) || laneOf(before) != laneOf(after) {
		return true
	}
	return after.CheckedAt != nil && (before.CheckedAt == nil || now.Sub(before.CheckedAt.Time) >= refresh)
}

// hasChanged tells whether there is something that people want to hear of.
func hasChanged(before, after v1alpha1.TargetClusterStatus) bool {
	return before.Phase != after.Phase || before.Reason != after.Reason || before.Version != after.Version
}

func samePermissions(a, b *v1alpha1.ClusterPermissions) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Allowed, b.Allowed) && slices.Equal(a.Denied, b.Denied)
}

func generationOf(status v1alpha1.TargetClusterStatus) int64 {
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.ObservedGeneration
	}
	return 0
}

// news is the Kubernetes event that a status write makes true; none where ok is false.
func news(before, after v1alpha1.TargetClusterStatus) (kind, reason, note string, ok bool) {
	if before.Phase == after.Phase && before.Reason == after.Reason {
		if before.Version == "" || before.Version == after.Version {
			return "", "", "", false
		}
		return corev1.EventTypeNormal, "VersionChanged", fmt.Sprintf("the cluster has version %s now, it had %s", after.Version, before.Version), true
	}
	kind = corev1.EventTypeWarning
	switch after.Phase {
	case v1alpha1.ClusterHealthy, v1alpha1.ClusterVirtual, v1alpha1.ClusterUnknown:
		kind = corev1.EventTypeNormal
	}
	return kind, string(after.Phase), clip.Note(after.Reason + ": " + after.Message), true
}
