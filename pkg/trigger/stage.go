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

// FirstStage returns the stage that a run starts with.
func FirstStage(pipeline *v1alpha1.CdPipeline) Stage {
	if pipeline.Spec.PreDeploy != nil {
		return StagePre
	}
	return StageDeploy
}

// NextStage returns the stage after the given one; false where that was the last.
func NextStage(pipeline *v1alpha1.CdPipeline, stage Stage) (Stage, bool) {
	switch {
	case stage == StagePre:
		return StageDeploy, true
	case stage == StageDeploy && pipeline.Spec.PostDeploy != nil:
		return StagePost, true
	default:
		return "", false
	}
}
