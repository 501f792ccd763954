package trigger

import "github.com/penstock-cd/penstock/api/v1alpha1"

// Stage is one of the three steps of a run, in the order PRE, DEPLOY, POST.
type Stage string

// The stages.
const (
	StagePre    Stage = "PRE"
	StageDeploy Stage = "DEPLOY"
	StagePost   Stage = "POST"
)

// StageBuild stands in the names of Workflows of builds, where a run's have their stage.
const StageBuild Stage = "BUILD"

// rebuildPriority is that of builds that a base image asks for: builds that people wait for go
// first.
const rebuildPriority = -100

// BuildPriority is the place of a build in the queue: higher goes first.
func BuildPriority(build *v1alpha1.CiBuild) int32 {
	if build.Cause() == v1alpha1.CauseBaseImage {
		return rebuildPriority
	}
	return 0
}

// StageSpec returns what the pipeline runs at a stage, or nil where it has no
// such stage.
func StageSpec(pipeline *v1alpha1.CdPipeline, stage Stage) *v1alpha1.StageSpec {
	switch stage {
	case StagePre:
		return pipeline.Spec.PreDeploy
	case StageDeploy:
		return &pipeline.Spec.Deploy
	case StagePost:
		return pipeline.Spec.PostDeploy
	default:
		return nil
	}
}

// inOrder are all stages, in the order in which they run.
var inOrder = [...]Stage{StagePre, StageDeploy, StagePost}

// Stages returns the stages that the pipeline has, in order; from is the one to begin
// with, empty means the first. None where the pipeline has no such stage.
func Stages(pipeline *v1alpha1.CdPipeline, from Stage) []Stage {
	var stages []Stage
	for _, stage := range inOrder {
		if StageSpec(pipeline, stage) != nil && (from == "" || from == stage || len(stages) > 0) {
			stages = append(stages, stage)
		}
	}
	return stages
}

// NextStage returns the pipeline's first stage behind the given one, which the pipeline
// need not have any more; empty where there is none.
func NextStage(pipeline *v1alpha1.CdPipeline, stage Stage) Stage {
	passed := false
	for _, next := range inOrder {
		if passed && StageSpec(pipeline, next) != nil {
			return next
		}
		passed = passed || next == stage
	}
	return ""
}
