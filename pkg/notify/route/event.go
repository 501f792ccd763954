// Package route decides which events are told, where, together with what, and when; and what
// the message says. It is pure: who reads the events and writes the notifications is pkg/store.
package route

import (
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Item is an event that can be told, with what was known of its objects when it was read.
type Item struct {
	Type v1alpha1.NotificationEvent `json:"type" cel:"type"`
	At   time.Time                  `json:"at" cel:"at"`
	// Namespace is empty for clusters.
	Namespace   string `json:"namespace,omitempty" cel:"namespace"`
	Application string `json:"application,omitempty" cel:"application"`
	Environment string `json:"environment,omitempty" cel:"environment"`
	// Pipeline is a CdPipeline, and CiPipeline that of the build.
	Pipeline   string `json:"pipeline,omitempty" cel:"pipeline"`
	CiPipeline string `json:"ciPipeline,omitempty" cel:"ciPipeline"`
	Build      string `json:"build,omitempty" cel:"build"`
	BuildUID   string `json:"buildUID,omitempty" cel:"buildUID"`
	Revision   string `json:"revision,omitempty" cel:"revision"`
	Image      string `json:"image,omitempty" cel:"image"`
	Digest     string `json:"digest,omitempty" cel:"digest"`
	Run        int64  `json:"run,omitempty" cel:"run"`
	Stage      string `json:"stage,omitempty" cel:"stage"`
	Reason     string `json:"reason,omitempty" cel:"reason"`
	Message    string `json:"message,omitempty" cel:"message"`
	// Actor is who asked for it by a RunRequest, and ActorReason why.
	Actor       string `json:"actor,omitempty" cel:"actor"`
	ActorReason string `json:"actorReason,omitempty" cel:"actorReason"`
	// Cluster is whose health it is, and RunCluster the TargetCluster that a run's Workflows are in;
	// empty for the cluster that Penstock runs in.
	Cluster    string `json:"cluster,omitempty" cel:"cluster"`
	RunCluster string `json:"runCluster,omitempty" cel:"runCluster"`
	// BaseImage is whose wave of rebuilds it is, and Wave the wave's number.
	BaseImage string `json:"baseImage,omitempty" cel:"baseImage"`
	Wave      int64  `json:"wave,omitempty" cel:"wave"`
}

// TypeOf tells what a row of the event table is to people, and false where it is not told.
// Kind, stage, state and reason are the row's. Of a build that runs here its end is told, but
// for one that a newer build has overtaken.
func TypeOf(kind, stage, state, reason string) (v1alpha1.NotificationEvent, bool) {
	overtaken := reason == string(v1alpha1.ReasonSuperseded) || reason == string(v1alpha1.ReasonReplaced)
	if stage == string(trigger.StageBuild) || (kind == "Build" && overtaken) {
		return "", false
	}
	switch kind {
	case "Build":
		return pick(state, buildEvents)
	case "Run":
		return pick(state, runEvents)
	case "Cluster":
		return pick(state, clusterEvents)
	case "Wave":
		return pick(state, waveEvents)
	case "Task":
		return typeOfTask(state, v1alpha1.Reason(reason))
	}
	return "", false
}

var (
	buildEvents = map[string]v1alpha1.NotificationEvent{
		"Succeeded": v1alpha1.EventBuildSucceeded,
		"Failed":    v1alpha1.EventBuildFailed, "Error": v1alpha1.EventBuildFailed, "Cancelled": v1alpha1.EventBuildFailed,
	}
	runEvents = map[string]v1alpha1.NotificationEvent{
		"Succeeded": v1alpha1.EventRunSucceeded,
		"Failed":    v1alpha1.EventRunFailed, "Error": v1alpha1.EventRunFailed,
		"Cancelled": v1alpha1.EventRunCancelled, "Superseded": v1alpha1.EventRunCancelled,
	}
	waveEvents = map[string]v1alpha1.NotificationEvent{
		string(v1alpha1.WaveStopped):   v1alpha1.EventWaveStopped,
		string(v1alpha1.WaveSucceeded): v1alpha1.EventWaveFinished, string(v1alpha1.WaveFailed): v1alpha1.EventWaveFinished,
		string(v1alpha1.WaveCancelled): v1alpha1.EventWaveFinished,
	}
	clusterEvents = map[string]v1alpha1.NotificationEvent{
		string(v1alpha1.ClusterUnreachable): v1alpha1.EventClusterUnreachable, string(v1alpha1.ClusterUnauthorized): v1alpha1.EventClusterUnreachable,
		string(v1alpha1.ClusterHealthy): v1alpha1.EventClusterRecovered,
	}
)

func pick(state string, events map[string]v1alpha1.NotificationEvent) (v1alpha1.NotificationEvent, bool) {
	event, known := events[state]
	return event, known
}

// typeOfTask leaves out what passes by itself: the stage before, and another build's turn.
func typeOfTask(state string, reason v1alpha1.Reason) (v1alpha1.NotificationEvent, bool) {
	switch {
	case state == "Held" && reason != v1alpha1.ReasonStageBefore && reason != v1alpha1.ReasonTurn && reason != "":
		return v1alpha1.EventRunHeld, true
	case state == "Pending" && reason != "" && reason != v1alpha1.ReasonSubmissionDelayed:
		return v1alpha1.EventRunDelayed, true
	case state == "Submitted" && reason == v1alpha1.ReasonNotTakenUp:
		return v1alpha1.EventRunDelayed, true
	}
	return "", false
}
