package trigger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestTheStagesOfARun(t *testing.T) {
	t.Parallel()
	deployOnly := given.CdPipeline("web")
	whole := given.CdPipeline("web", given.WithPre, given.WithPost)
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		from     trigger.Stage
		want     []trigger.Stage
	}{
		"DEPLOY alone, where there is no other":            {deployOnly, "", []trigger.Stage{trigger.StageDeploy}},
		"PRE comes first":                                  {given.CdPipeline("web", given.WithPre), "", []trigger.Stage{trigger.StagePre, trigger.StageDeploy}},
		"POST comes last":                                  {given.CdPipeline("web", given.WithPost), "", []trigger.Stage{trigger.StageDeploy, trigger.StagePost}},
		"all three, in order":                              {whole, "", []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost}},
		"a run that begins at PRE has all":                 {whole, trigger.StagePre, []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost}},
		"a run that begins at DEPLOY leaves PRE out":       {whole, trigger.StageDeploy, []trigger.Stage{trigger.StageDeploy, trigger.StagePost}},
		"a run that begins at POST has it alone":           {whole, trigger.StagePost, []trigger.Stage{trigger.StagePost}},
		"none that begins at a stage the pipeline has not": {deployOnly, trigger.StagePre, nil},
		"none that begins at a last stage it has not":      {deployOnly, trigger.StagePost, nil},
		"none that begins at an unknown stage":             {whole, "LATER", nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, trigger.Stages(tc.pipeline, tc.from))
		})
	}
}

// Runs from before all their stages were rows look for the next one in the pipeline.
func TestWhichStageFollowsAnother(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		stage    trigger.Stage
		want     trigger.Stage
	}{
		"DEPLOY follows PRE": {given.CdPipeline("web", given.WithPre), trigger.StagePre, trigger.StageDeploy},
		"DEPLOY follows PRE even when PRE was removed meanwhile": {
			given.CdPipeline("web", given.WithPost), trigger.StagePre, trigger.StageDeploy,
		},
		"POST follows DEPLOY":                               {given.CdPipeline("web", given.WithPost), trigger.StageDeploy, trigger.StagePost},
		"DEPLOY is the last stage where there is no POST":   {given.CdPipeline("web", given.WithPre), trigger.StageDeploy, ""},
		"POST is always the last stage":                     {given.CdPipeline("web", given.WithPre, given.WithPost), trigger.StagePost, ""},
		"POST is the last stage even when it was removed":   {given.CdPipeline("web"), trigger.StagePost, ""},
		"nothing follows a stage that there is not in any":  {given.CdPipeline("web", given.WithPre, given.WithPost), "LATER", ""},
		"nothing follows what is no stage, such as a blank": {given.CdPipeline("web", given.WithPre, given.WithPost), "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, trigger.NextStage(tc.pipeline, tc.stage))
		})
	}
}

func TestAnUnknownStageHasNoSpec(t *testing.T) {
	t.Parallel()
	require.Nil(t, trigger.StageSpec(given.CdPipeline("web", given.WithPre, given.WithPost), "LATER"))
}
