package baseimage

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
)

// refresh is how old the time of the last check may become in the status while nothing changes.
const refresh = 5 * time.Minute

// maxMessage is the most bytes of a condition's message.
const maxMessage = 1024

// statusOf is what a BaseImage's status is to tell. What others write there stays.
func (r *record) statusOf(before v1alpha1.BaseImageStatus, dependents int32) v1alpha1.BaseImageStatus {
	after := before
	after.Conditions = slices.Clone(before.Conditions)
	after.Dependents = dependents
	if r.hasRow {
		after.Digest, after.PreviousDigest, after.CheckedAt = r.state.Digest, r.state.PreviousDigest, timeOf(r.state.CheckedAt)
	}
	if r.verdict.reason == "" {
		return after
	}
	after.ObservedGeneration, after.NextCheckAt = r.generation, nil
	if r.isPolled() {
		after.NextCheckAt = timeOf(r.due)
	}
	meta.SetStatusCondition(&after.Conditions, r.condition())
	return after
}

func (r *record) condition() metav1.Condition {
	status := metav1.ConditionFalse
	if r.verdict.reason == v1alpha1.ReasonChecked {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: status, ObservedGeneration: r.generation,
		Reason: string(r.verdict.reason), Message: clip.Text(r.verdict.message, maxMessage),
	}
}

func timeOf(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	converted := metav1.NewTime(at.Truncate(time.Second))
	return &converted
}

// needsWrite tells whether the status has become another, or old. The times of the last and the
// next check alone are no change.
func needsWrite(before, after v1alpha1.BaseImageStatus) bool {
	if at := after.CheckedAt; at != nil && (before.CheckedAt == nil || at.Sub(before.CheckedAt.Time) >= refresh) {
		return true
	}
	before.CheckedAt, before.NextCheckAt = after.CheckedAt, after.NextCheckAt
	return !equality.Semantic.DeepEqual(before, after)
}

// event is a Kubernetes event.
type event struct{ kind, reason, note string }

// news are the Kubernetes events that a status write makes true.
func news(image string, before, after v1alpha1.BaseImageStatus) (events []event) {
	if before.Digest != after.Digest && before.Digest != "" {
		events = append(events, event{corev1.EventTypeNormal, "DigestChanged", clip.Note(fmt.Sprintf("%s is now %s, it was %s", image, after.Digest, before.Digest))})
	}
	was, is := readyOf(before), readyOf(after)
	switch {
	case is == nil || (was != nil && was.Reason == is.Reason):
	case is.Status == metav1.ConditionTrue && was != nil:
		events = append(events, event{corev1.EventTypeNormal, is.Reason, clip.Note(image + ": " + is.Message)})
	case is.Reason == string(v1alpha1.ReasonSuspended) || is.Reason == string(v1alpha1.ReasonUnchecked):
		events = append(events, event{corev1.EventTypeNormal, is.Reason, clip.Note(image + ": " + is.Message)})
	case is.Status == metav1.ConditionFalse:
		events = append(events, event{corev1.EventTypeWarning, is.Reason, clip.Note(image + ": " + is.Message)})
	}
	return events
}

func readyOf(status v1alpha1.BaseImageStatus) *metav1.Condition {
	return meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
}
