package wave

import (
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// refusedFor is for how long a build is tried that a quota or a policy refuses: an item that
	// waits takes one of maxParallel.
	refusedFor = 10 * time.Minute
	// refusedFirst and refusedMost bound the pause between two tries.
	refusedFirst, refusedMost = 5 * time.Second, time.Minute
)

// refusals are the builds that were refused, as far as this process knows.
type refusals map[types.NamespacedName]refusal

// refusal is since when a build is refused, and when it is tried again.
type refusal struct{ since, next time.Time }

// isDue tells whether a build is to be tried.
func (r refusals) isDue(build types.NamespacedName, now time.Time) bool {
	return !now.Before(r[build].next)
}

// note keeps that a build was refused. It returns whether that has gone on for too long.
func (r refusals) note(build types.NamespacedName, now time.Time) (isOver bool) {
	known, exists := r[build]
	if !exists {
		known.since = now
	}
	known.next = now.Add(min(max(now.Sub(known.since), refusedFirst), refusedMost))
	r[build] = known
	return now.Sub(known.since) >= refusedFor
}

func (r refusals) forget(build types.NamespacedName) { delete(r, build) }

// isFinal tells whether creating the build again would be refused again.
func isFinal(err error) bool {
	var gone *goneError
	return errors.As(err, &gone) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// isRefusal tells whether a quota, a policy or a missing right has refused the build, which may
// let it through later.
func isRefusal(err error) bool { return apierrors.IsForbidden(err) }
