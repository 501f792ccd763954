package trigger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWhatHoldsAStage(t *testing.T) {
	t.Parallel()
	hold := trigger.Hold{Reason: v1alpha1.ReasonHold, Message: "spec.hold of the pipeline is true: set it to false to go on"}
	person := func(stage trigger.Stage) trigger.Hold {
		return trigger.Hold{
			Reason:  v1alpha1.ReasonPerson,
			Message: "the trigger of stage " + string(stage) + " is Manual: create a RunRequest with action Resume to go on",
		}
	}
	manualDeploy := given.ManualStage(trigger.StageDeploy)
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		stage    trigger.Stage
		resumed  bool
		want     trigger.Hold
	}{
		"nothing holds an automatic stage": {given.CdPipeline("web"), trigger.StageDeploy, false, trigger.Hold{}},
		"a manual stage waits for a person": {
			given.CdPipeline("web", manualDeploy), trigger.StageDeploy, false, person(trigger.StageDeploy),
		},
		"a manual PRE waits for a person, whatever comes behind it": {
			given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StagePre)), trigger.StagePre, false, person(trigger.StagePre),
		},
		"a manual stage holds no other": {
			given.CdPipeline("web", given.WithPre, manualDeploy), trigger.StagePre, false, trigger.Hold{},
		},
		"a manual stage that a person has resumed goes on": {
			given.CdPipeline("web", manualDeploy), trigger.StageDeploy, true, trigger.Hold{},
		},
		"spec.hold holds every stage": {
			given.CdPipeline("web", given.WithPost, given.Held), trigger.StagePost, false, hold,
		},
		"spec.hold holds a stage that a person has resumed too": {
			given.CdPipeline("web", given.Held, manualDeploy), trigger.StageDeploy, true, hold,
		},
		"spec.hold is told before that the stage is manual": {
			given.CdPipeline("web", given.Held, manualDeploy), trigger.StageDeploy, false, hold,
		},
		"spec.hold holds a stage that the pipeline has no more": {
			given.CdPipeline("web", given.Held), trigger.StagePost, false, hold,
		},
		"nothing else holds a stage that the pipeline has no more: its task finds out": {
			given.CdPipeline("web"), trigger.StagePost, false, trigger.Hold{},
		},
		"that the whole pipeline is manual holds no stage: it is decided before": {
			given.CdPipeline("web", given.Manual), trigger.StageDeploy, false, trigger.Hold{},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, trigger.HoldOf(tc.pipeline, tc.stage, tc.resumed))
		})
	}
}

func TestAHoldTellsWhoHoldsThePipelineAndWhy(t *testing.T) {
	t.Parallel()
	for want, annotations := range map[string]map[string]string{
		"spec.hold of the pipeline is true: set it to false to go on":                        nil,
		"spec.hold of the pipeline is true (by ann): set it to false to go on":               {v1alpha1.AnnotationHoldBy: "ann"},
		"spec.hold of the pipeline is true (stock-taking): set it to false to go on":         {v1alpha1.AnnotationHoldReason: "stock-taking"},
		"spec.hold of the pipeline is true (by ann: stock-taking): set it to false to go on": {v1alpha1.AnnotationHoldBy: "ann", v1alpha1.AnnotationHoldReason: "stock-taking"},
	} {
		pipeline := given.CdPipeline("web", given.Held)
		pipeline.Annotations = annotations
		require.Equal(t, trigger.Hold{Reason: v1alpha1.ReasonHold, Message: want}, trigger.HoldOf(pipeline, trigger.StageDeploy, false))
	}
}
