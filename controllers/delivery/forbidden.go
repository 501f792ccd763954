package delivery

import (
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxForbidden is how often in a row something is tried that the API server forbids: for a few
// seconds, since rights and quotas take a moment to count. After that a person has to allow it,
// for whom what came later of the same repository need not wait.
const maxForbidden = 3

// isForbidden tells whether a person may allow what was refused.
func isForbidden(err error) bool {
	return apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// forbiddenBefore is how many attempts before this one were forbidden, in a row.
func (w *Worker) forbiddenBefore(delivery int64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forbidden[delivery]
}

// countForbidden notes how an attempt ended. It is counted in memory alone: after a restart, a
// delivery is tried as often again.
func (w *Worker) countForbidden(delivery int64, failure error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if isForbidden(failure) {
		w.forbidden[delivery]++
		return
	}
	delete(w.forbidden, delivery)
}

// whyRefused is an error for people.
func whyRefused(err error) string {
	if isForbidden(err) {
		return err.Error() + ": redeliver it when it is allowed"
	}
	return err.Error()
}
