package trigger

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// FairQuantum is how far apart, in the order of the queue, the runs of one build stand: a
// later build overtakes all but the first few of an earlier, larger one.
const FairQuantum = time.Second

// Inputs are what a stage's task keeps of its run: small facts that never change. What
// may be large, such as parameters and lists of artifacts, is read when the task is
// claimed.
type Inputs struct {
	// Build is the CiBuild's name.
	Build    string `json:"build"`
	Revision string `json:"revision,omitempty"`
	// Image and Digest are the run's artifact, or the first of several.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	Stage  Stage  `json:"stage"`
	// Run is the run's number in cd_workflow; 0 until it is committed.
	Run int64 `json:"run,omitempty"`
	// Resumed tells that a person has let the stage start outside of the pipeline's windows,
	// or in spite of a freeze.
	Resumed bool `json:"resumed,omitempty"`
	// Parent is the kind and name of the parent that triggered the run, as ParentOf gives it;
	// empty where a person asked for it.
	Parent string `json:"parent,omitempty"`
	// Cluster is the TargetCluster where the run's Workflows are; empty for the cluster that
	// Penstock runs in. It is the pipeline's when the run was planned.
	Cluster string `json:"cluster,omitempty"`
	// All true means that the run is given all artifacts of its build.
	All bool `json:"all,omitempty"`
	// Before is how the stage's attempt before ended; empty for its first attempt.
	Before string `json:"before,omitempty"`
	// Actor is who has asked for the task by a RunRequest, the last one where several have, and
	// ActorReason why; empty where nobody has.
	Actor       string `json:"actor,omitempty"`
	ActorReason string `json:"actor_reason,omitempty"`
	// BuildUID and Ref are those of the CiBuild that a task of the kind ci runs.
	BuildUID string `json:"build_uid,omitempty"`
	Ref      string `json:"ref,omitempty"`
	// Artifacts are those of a run with All. They are no part of the task.
	Artifacts []v1alpha1.Artifact `json:"-"`
}

// ParentOf is the kind and name of a pipeline's parent, such as CiPipeline/app.
func ParentOf(pipeline *v1alpha1.CdPipeline) string {
	return string(pipeline.Spec.ParentRef.Kind) + "/" + pipeline.Spec.ParentRef.Name
}

// ParentChanged says why what an earlier parent has triggered does not start.
func ParentChanged(pipeline *v1alpha1.CdPipeline) string {
	ref := pipeline.Spec.ParentRef
	return fmt.Sprintf("CdPipeline %s hangs below %s %s now: what its parent before had triggered is cancelled", pipeline.Name, ref.Kind, ref.Name)
}

// BuildCluster is ClusterOf of the builds of a pipeline.
func BuildCluster(pipeline *v1alpha1.CiPipeline) string {
	if pipeline.Spec.ClusterRef == nil {
		return ""
	}
	return pipeline.Spec.ClusterRef.Name
}

// ClusterOf is the name of the TargetCluster where a pipeline's Workflows run; empty where
// that is the cluster which Penstock runs in.
func ClusterOf(pipeline *v1alpha1.CdPipeline) string {
	if pipeline.Spec.ClusterRef == nil {
		return ""
	}
	return pipeline.Spec.ClusterRef.Name
}
