package fleet

import (
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// failuresToLeave is how many probes in a row must fail before a phase changes for it.
const failuresToLeave = 2

// Health is what is believed of a cluster.
type Health struct {
	Phase   v1alpha1.ClusterPhase
	Reason  v1alpha1.Reason
	Message string
	Version string
	Latency time.Duration
	// Since is when it came into the phase; CheckedAt when the last probe ended.
	Since, CheckedAt time.Time
	Permissions      *v1alpha1.ClusterPermissions

	// failures are the failed probes in a row that have not changed anything yet, the
	// first of them at failingSince, the last of class suspect.
	failures     int
	failingSince time.Time
	suspect      Class
}

// Observation is the result of one probe.
type Observation struct {
	// Began and Ended are when the probe did.
	Began, Ended time.Time
	// Failure is nil where the cluster answered well.
	Failure *Failure
	// Latency is that of /livez.
	Latency time.Duration
	// Version and Permissions are empty where they were not asked for.
	Version     string
	Permissions *v1alpha1.ClusterPermissions
}

// IsSuspect tells whether the last probe failed and nothing was concluded from it yet, so
// that the next one should come soon.
func (h Health) IsSuspect() bool { return h.failures > 0 }

// IsUp tells whether the cluster answers.
func (h Health) IsUp() bool {
	return h.Phase == v1alpha1.ClusterHealthy || h.Phase == v1alpha1.ClusterDegraded
}

// Judge returns what to believe after one more probe. One success makes a cluster Healthy.
// Two failures in a row, of whatever classes, make it what the second of them says; a
// cluster that fails already changes its class after two failures of one other class. So
// one that fails every second probe, or in turns, does not flutter. A kubeconfig that
// can't be used is no chance event, and counts at once.
func Judge(before Health, seen Observation) Health {
	after := before
	after.CheckedAt = seen.Ended
	if seen.Failure == nil {
		return succeeded(after, seen)
	}
	if isFailing(before) && before.Reason == seen.Failure.Class {
		after.failures, after.suspect, after.failingSince = 0, "", time.Time{}
		after.Message = seen.Failure.Message
		return after
	}
	if after.failures == 0 {
		after.failingSince = seen.Began
	}
	after.failures++
	if isFailing(before) && before.suspect != seen.Failure.Class {
		after.failures, after.failingSince = 1, seen.Began
	}
	after.suspect = seen.Failure.Class
	if after.failures < failuresToLeave && seen.Failure.Class != BadKubeconfig {
		return after
	}
	return failed(after, *seen.Failure)
}

func succeeded(h Health, seen Observation) Health {
	h.Latency = seen.Latency
	if seen.Version != "" {
		h.Version = seen.Version
	}
	if seen.Permissions != nil {
		h.Permissions = seen.Permissions
	}
	h.failures, h.suspect, h.failingSince = 0, "", time.Time{}
	phase, reason, message := v1alpha1.ClusterHealthy, v1alpha1.ReasonClusterHealthy, "the cluster answers"
	if p := h.Permissions; p != nil && len(p.Allowed) == 0 && len(p.Denied) > 0 {
		phase, reason = v1alpha1.ClusterDegraded, Forbidden
		message = "Penstock may list none of the kinds that it shows there: apply config/target in that cluster"
	}
	return h.into(phase, reason, message, seen.Ended)
}

func failed(h Health, failure Failure) Health {
	since := h.failingSince
	h.failures, h.suspect, h.failingSince = 0, "", time.Time{}
	return h.into(phaseOf(failure.Class), failure.Class, failure.Message, since)
}

func (h Health) into(phase v1alpha1.ClusterPhase, reason v1alpha1.Reason, message string, at time.Time) Health {
	if h.Phase != phase {
		h.Since = at
	}
	h.Phase, h.Reason, h.Message = phase, reason, message
	return h
}

// isFailing tells whether a probe that failed is why the cluster is in its phase.
func isFailing(h Health) bool {
	switch h.Reason {
	case DNS, Refused, Timeout, TLS, Unauthorized, Forbidden, NotReady, BadKubeconfig:
		return true
	}
	return false
}

func phaseOf(class Class) v1alpha1.ClusterPhase {
	switch class {
	case Unauthorized:
		return v1alpha1.ClusterUnauthorized
	case Forbidden, NotReady:
		return v1alpha1.ClusterDegraded
	}
	return v1alpha1.ClusterUnreachable
}

// Uncontacted is the health of a cluster that is not probed: a virtual or suspended one.
// ok is false for all others.
func Uncontacted(before Health, spec v1alpha1.TargetClusterSpec, now time.Time) (health Health, ok bool) {
	switch {
	case spec.Virtual:
		return Health{Phase: before.Phase, Since: before.Since}.into(
			v1alpha1.ClusterVirtual, v1alpha1.ReasonClusterVirtual, "the cluster is virtual: it is never contacted", now), true
	case spec.Suspend:
		before.failures, before.suspect, before.failingSince = 0, "", time.Time{}
		return before.into(v1alpha1.ClusterUnknown, v1alpha1.ReasonSuspended, "spec.suspend is true: the cluster is not contacted", now), true
	}
	return before, false
}

// HealthOf is the health that a TargetCluster's status tells.
func HealthOf(status v1alpha1.TargetClusterStatus) Health {
	health := Health{
		Phase: status.Phase, Reason: v1alpha1.Reason(status.Reason), Message: status.Message, Version: status.Version,
		Latency: time.Duration(status.LatencyMillis) * time.Millisecond, Permissions: status.Permissions.DeepCopy(),
	}
	if status.Since != nil {
		health.Since = status.Since.Time
	}
	if status.CheckedAt != nil {
		health.CheckedAt = status.CheckedAt.Time
	}
	if health.Phase == "" {
		health.Phase, health.Reason, health.Message = v1alpha1.ClusterUnknown, v1alpha1.ReasonNotProbed, "the cluster was not probed yet"
	}
	return health
}
