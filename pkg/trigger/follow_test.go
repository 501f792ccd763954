package trigger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWhatFollowsAStageThatSucceeded(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		stage    trigger.Stage
		want     trigger.Step
	}{
		"DEPLOY follows PRE": {
			given.CdPipeline("web", given.WithPre), trigger.StagePre, trigger.Step{Next: trigger.StageDeploy},
		},
		"DEPLOY follows PRE even when PRE was removed meanwhile": {
			given.CdPipeline("web"), trigger.StagePre, trigger.Step{Next: trigger.StageDeploy},
		},
		"POST follows DEPLOY": {
			given.CdPipeline("web", given.WithPost), trigger.StageDeploy, trigger.Step{Next: trigger.StagePost},
		},
		"DEPLOY is the last stage where there is no POST": {
			given.CdPipeline("web", given.WithPre), trigger.StageDeploy, trigger.Step{Done: true},
		},
		"POST is always the last stage": {
			given.CdPipeline("web", given.WithPre, given.WithPost), trigger.StagePost, trigger.Step{Done: true},
		},
		"a manual DEPLOY waits after PRE": {
			given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StageDeploy)), trigger.StagePre,
			trigger.Step{Hold: "stage PRE succeeded; stage DEPLOY waits because its trigger is Manual"},
		},
		"a manual POST waits after DEPLOY": {
			given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost)), trigger.StageDeploy,
			trigger.Step{Hold: "stage DEPLOY succeeded; stage POST waits because its trigger is Manual"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, trigger.AfterSuccess(tc.pipeline, tc.stage))
		})
	}
}

func TestARunStartsWithPreWhereThereIsOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, trigger.StageDeploy, trigger.FirstStage(given.CdPipeline("web", given.WithPost)))
	require.Equal(t, trigger.StagePre, trigger.FirstStage(given.CdPipeline("web", given.WithPre)))
}

func TestAnUnknownStageHasNoSpec(t *testing.T) {
	t.Parallel()
	require.Nil(t, trigger.StageSpec(given.CdPipeline("web", given.WithPre, given.WithPost), "LATER"))
}
