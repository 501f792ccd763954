package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// after is what is believed after probes, one a minute: "ok", or the class of a failure.
func after(probes string) (Health, []string) {
	health := HealthOf(v1alpha1.TargetClusterStatus{})
	var phases []string
	for minute, probe := range strings.Fields(probes) {
		at := began.Add(time.Duration(minute) * time.Minute)
		seen := Observation{Began: at, Ended: at.Add(time.Second)}
		switch probe {
		case "ok":
		case "denied":
			seen.Permissions = &v1alpha1.ClusterPermissions{Denied: []string{"pods"}}
		case "granted":
			seen.Permissions = &v1alpha1.ClusterPermissions{Allowed: []string{"pods"}, Denied: []string{"nodes"}}
		default:
			seen.Failure = &Failure{Class: Class(probe), Message: "it failed with " + probe}
		}
		health = Judge(health, seen)
		phases = append(phases, string(health.Phase)+"/"+string(health.Reason))
	}
	return health, phases
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		probes, want string
		since        time.Duration // of the phase, after the first probe began
	}{
		"one success makes a new cluster Healthy":             {"ok", "Healthy/Healthy", time.Second},
		"one failure says nothing of a new cluster":           {"Timeout", "Unknown/NotProbed", -1},
		"two failures make a new cluster Unreachable":         {"Timeout Timeout", "Unknown/NotProbed Unreachable/Timeout", 0},
		"one failure is forgiven":                             {"ok Timeout ok", "Healthy/Healthy Healthy/Healthy Healthy/Healthy", time.Second},
		"a cluster that fails every second probe stays":       {"ok Timeout ok Timeout ok Timeout", strings.TrimSpace(strings.Repeat("Healthy/Healthy ", 6)), time.Second},
		"two failures of two classes tell of the second":      {"ok DNS Refused", "Healthy/Healthy Healthy/Healthy Unreachable/Refused", time.Minute},
		"one success is enough to come back":                  {"Refused Refused ok", "Unknown/NotProbed Unreachable/Refused Healthy/Healthy", 2*time.Minute + time.Second},
		"one refusal of the credentials is forgiven":          {"ok Unauthorized ok", "Healthy/Healthy Healthy/Healthy Healthy/Healthy", time.Second},
		"two make it Unauthorized":                            {"ok Unauthorized Unauthorized", "Healthy/Healthy Healthy/Healthy Unauthorized/Unauthorized", time.Minute},
		"a server that is not ready is Degraded":              {"ok NotReady NotReady", "Healthy/Healthy Healthy/Healthy Degraded/NotReady", time.Minute},
		"a server that grants nothing is Degraded":            {"ok Forbidden Forbidden", "Healthy/Healthy Healthy/Healthy Degraded/Forbidden", time.Minute},
		"a kubeconfig that can't be used counts at once":      {"ok BadKubeconfig", "Healthy/Healthy Unreachable/BadKubeconfig", time.Minute},
		"one other class does not change what is told":        {"TLS TLS DNS TLS DNS", "Unknown/NotProbed Unreachable/TLS Unreachable/TLS Unreachable/TLS Unreachable/TLS", 0},
		"two of one other class do, and the phase goes on":    {"TLS TLS DNS DNS", "Unknown/NotProbed Unreachable/TLS Unreachable/TLS Unreachable/DNS", 0},
		"two of two other classes do not":                     {"TLS TLS DNS Refused", "Unknown/NotProbed Unreachable/TLS Unreachable/TLS Unreachable/TLS", 0},
		"from Unreachable to Unauthorized is a new phase":     {"TLS TLS Unauthorized Unauthorized", "Unknown/NotProbed Unreachable/TLS Unreachable/TLS Unauthorized/Unauthorized", 2 * time.Minute},
		"no right at all makes it Degraded":                   {"denied", "Degraded/Forbidden", time.Second},
		"some rights are enough":                              {"granted", "Healthy/Healthy", time.Second},
		"rights are remembered by the probes that do not ask": {"denied ok", "Degraded/Forbidden Degraded/Forbidden", time.Second},
		"rights that are granted mend it":                     {"denied granted", "Degraded/Forbidden Healthy/Healthy", time.Minute + time.Second},
		"an outage of one without rights takes two of a kind": {"denied Timeout Timeout", "Degraded/Forbidden Degraded/Forbidden Unreachable/Timeout", time.Minute},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			health, phases := after(tc.probes)
			require.Equal(t, strings.Fields(tc.want), phases)
			if tc.since >= 0 {
				require.Equal(t, began.Add(tc.since), health.Since)
			}
		})
	}
}

func TestAFailureIsLookedAtAgainSoonUntilItIsDecided(t *testing.T) {
	t.Parallel()
	for probes, want := range map[string]bool{"ok": false, "ok DNS": true, "ok DNS DNS": false, "ok DNS DNS DNS": false, "ok DNS DNS TLS": true, "ok DNS ok": false} {
		health, _ := after(probes)
		require.Equal(t, want, health.IsSuspect(), probes)
	}
}

func TestWhatAStatusTellsIsTakenUpByTheNextLeader(t *testing.T) {
	t.Parallel()
	health := HealthOf(v1alpha1.TargetClusterStatus{Phase: v1alpha1.ClusterUnreachable, Reason: "Timeout", Version: "v1.30.0"})
	health = Judge(health, Observation{Began: began, Ended: began, Failure: &Failure{Class: Timeout}})
	require.Equal(t, v1alpha1.ClusterUnreachable, health.Phase)
	require.False(t, health.IsSuspect(), "it goes on as before")
	health = Judge(health, Observation{Began: began, Ended: began})
	require.Equal(t, v1alpha1.ClusterHealthy, health.Phase)
	require.Equal(t, "v1.30.0", health.Version)
}

func TestClustersThatAreNotContacted(t *testing.T) {
	t.Parallel()
	healthy, _ := after("ok")
	virtual, ok := Uncontacted(healthy, v1alpha1.TargetClusterSpec{Virtual: true}, began)
	require.True(t, ok)
	require.Equal(t, v1alpha1.ClusterVirtual, virtual.Phase)
	again, _ := Uncontacted(virtual, v1alpha1.TargetClusterSpec{Virtual: true}, began.Add(time.Hour))
	require.Equal(t, virtual, again, "nothing changes any more")
	suspended, ok := Uncontacted(healthy, v1alpha1.TargetClusterSpec{InCluster: true, Suspend: true}, began)
	require.True(t, ok)
	require.Equal(t, v1alpha1.ClusterUnknown, suspended.Phase)
	require.Equal(t, v1alpha1.ReasonSuspended, suspended.Reason)
	_, ok = Uncontacted(healthy, v1alpha1.TargetClusterSpec{InCluster: true}, began)
	require.False(t, ok)
}
