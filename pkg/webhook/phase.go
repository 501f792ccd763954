package webhook

import (
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// phases are the words that CI systems have for where a build stands.
var phases = map[string]v1alpha1.BuildPhase{
	"":         "",
	"pending":  v1alpha1.BuildPending,
	"queued":   v1alpha1.BuildPending,
	"created":  v1alpha1.BuildPending,
	"running":  v1alpha1.BuildRunning,
	"started":  v1alpha1.BuildRunning,
	"success":  v1alpha1.BuildSucceeded,
	"passed":   v1alpha1.BuildSucceeded,
	"failure":  v1alpha1.BuildFailed,
	"failed":   v1alpha1.BuildFailed,
	"error":    v1alpha1.BuildError,
	"errored":  v1alpha1.BuildError,
	"cancel":   v1alpha1.BuildCancelled,
	"canceled": v1alpha1.BuildCancelled,
	"aborted":  v1alpha1.BuildCancelled,
	"skipped":  v1alpha1.BuildCancelled,

	"succeeded":   v1alpha1.BuildSucceeded,
	"cancelled":   v1alpha1.BuildCancelled,
	"in_progress": v1alpha1.BuildRunning,
}

// phaseOf returns the phase that a CI system's word means, or false where it is none.
func phaseOf(word string) (v1alpha1.BuildPhase, bool) {
	phase, found := phases[strings.ToLower(strings.TrimSpace(word))]
	return phase, found
}
