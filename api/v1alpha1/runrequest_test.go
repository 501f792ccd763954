package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	oneObject      = "spec: Invalid value: set exactly one of pipelineRef and target"
	oneRun         = "spec: Invalid value: the actions Retry, Resume and Cancel need a run: set exactly one of buildRef and run"
	targetActions  = "spec.target: Invalid value: target can only be used with Cancel, with Retry for a CiBuild, and with Resume for a BaseImage or TargetCluster: change action, or set pipelineRef instead"
	targetAlone    = "spec: Invalid value: buildRef, run and stage cannot be used with target: remove them, or set pipelineRef instead of target"
	triggerBuild   = "spec.buildRef: Required value: the action Trigger needs buildRef: name the CiBuild to run the pipeline for"
	triggerNoRun   = "spec.run: Invalid value: the action Trigger makes a new run: remove run"
	rollbackAlone  = "spec: Invalid value: the action Rollback chooses the run that succeeded before the deployed one: remove buildRef and run"
	stageActions   = "spec.stage: Invalid value: stage can only be used with the actions Retry and Resume: remove stage"
	allowedActions = "spec.allowOlder: Invalid value: allowOlder can only be used with the actions Trigger and Retry: remove allowOlder"
)

func TestCreatingARunRequest(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pipeline, build, run := given.OfPipeline("web"), given.OfBuild("b1"), given.OfRun(1)
	wave, cluster := given.OfTarget("BaseImage", "debian"), given.OfTarget("TargetCluster", "eu-1")
	type changes = []func(*v1alpha1.RunRequest)
	for sentence, tc := range map[string]struct {
		action  v1alpha1.Action
		with    changes
		refusal string
	}{
		"Trigger a build is accepted":                  {v1alpha1.ActionTrigger, changes{pipeline, build}, ""},
		"Trigger an older build is accepted":           {v1alpha1.ActionTrigger, changes{pipeline, build, given.AllowOlder}, ""},
		"Trigger needs a build":                        {v1alpha1.ActionTrigger, changes{pipeline}, triggerBuild},
		"Trigger a run is refused":                     {v1alpha1.ActionTrigger, changes{pipeline, run}, triggerNoRun},
		"Trigger a build and a run is refused":         {v1alpha1.ActionTrigger, changes{pipeline, build, run}, triggerNoRun},
		"Trigger a stage is refused":                   {v1alpha1.ActionTrigger, changes{pipeline, build, given.AtStage("POST")}, stageActions},
		"Retry the newest run of a build is accepted":  {v1alpha1.ActionRetry, changes{pipeline, build}, ""},
		"Retry a run is accepted":                      {v1alpha1.ActionRetry, changes{pipeline, run}, ""},
		"Retry from a stage on is accepted":            {v1alpha1.ActionRetry, changes{pipeline, run, given.AtStage("DEPLOY")}, ""},
		"Retry an older build is accepted":             {v1alpha1.ActionRetry, changes{pipeline, build, given.AllowOlder}, ""},
		"Retry needs a build or a run":                 {v1alpha1.ActionRetry, changes{pipeline}, oneRun},
		"Retry a build and a run is refused":           {v1alpha1.ActionRetry, changes{pipeline, build, run}, oneRun},
		"Resume the newest run of a build is accepted": {v1alpha1.ActionResume, changes{pipeline, build}, ""},
		"Resume a stage of a run is accepted":          {v1alpha1.ActionResume, changes{pipeline, run, given.AtStage("PRE")}, ""},
		"Resume needs a build or a run":                {v1alpha1.ActionResume, changes{pipeline}, oneRun},
		"Resume an older build is refused":             {v1alpha1.ActionResume, changes{pipeline, build, given.AllowOlder}, allowedActions},
		"Cancel a run is accepted":                     {v1alpha1.ActionCancel, changes{pipeline, run}, ""},
		"Cancel the newest run of a build is accepted": {v1alpha1.ActionCancel, changes{pipeline, build}, ""},
		"Cancel needs a build or a run":                {v1alpha1.ActionCancel, changes{pipeline}, oneRun},
		"Cancel a build and a run is refused":          {v1alpha1.ActionCancel, changes{pipeline, build, run}, oneRun},
		"Cancel a stage is refused":                    {v1alpha1.ActionCancel, changes{pipeline, run, given.AtStage("DEPLOY")}, stageActions},
		"Cancel an older build is refused":             {v1alpha1.ActionCancel, changes{pipeline, build, given.AllowOlder}, allowedActions},
		"Rollback a pipeline is accepted":              {v1alpha1.ActionRollback, changes{pipeline}, ""},
		"Rollback to a build is refused":               {v1alpha1.ActionRollback, changes{pipeline, build}, rollbackAlone},
		"Rollback to a run is refused":                 {v1alpha1.ActionRollback, changes{pipeline, run}, rollbackAlone},
		"Rollback a stage is refused":                  {v1alpha1.ActionRollback, changes{pipeline, given.AtStage("DEPLOY")}, stageActions},
		"Rollback to an older build is refused":        {v1alpha1.ActionRollback, changes{pipeline, given.AllowOlder}, allowedActions},
		"Resume a wave is accepted":                    {v1alpha1.ActionResume, changes{wave}, ""},
		"Cancel what waits for a cluster is accepted":  {v1alpha1.ActionCancel, changes{cluster}, ""},
		"Cancel a build is accepted":                   {v1alpha1.ActionCancel, changes{given.OfTarget("CiBuild", "b1")}, ""},
		"Retry a build is accepted":                    {v1alpha1.ActionRetry, changes{given.OfTarget("CiBuild", "b1")}, ""},
		"Resume a build is refused":                    {v1alpha1.ActionResume, changes{given.OfTarget("CiBuild", "b1")}, targetActions},
		"Trigger a build is refused":                   {v1alpha1.ActionTrigger, changes{given.OfTarget("CiBuild", "b1")}, targetActions},
		"Retry a cluster is refused":                   {v1alpha1.ActionRetry, changes{cluster}, targetActions},
		"Trigger a wave is refused":                    {v1alpha1.ActionTrigger, changes{wave}, targetActions},
		"Retry a wave is refused":                      {v1alpha1.ActionRetry, changes{wave}, targetActions},
		"Rollback a cluster is refused":                {v1alpha1.ActionRollback, changes{cluster}, targetActions},
		"Resume a wave of a build is refused":          {v1alpha1.ActionResume, changes{wave, build}, targetAlone},
		"Resume a wave of a run is refused":            {v1alpha1.ActionResume, changes{wave, run}, targetAlone},
		"Resume a stage of a wave is refused":          {v1alpha1.ActionResume, changes{wave, given.AtStage("PRE")}, targetAlone},
		"a pipeline and a target is refused":           {v1alpha1.ActionCancel, changes{pipeline, wave, build}, oneObject},
		"neither a pipeline nor a target is refused":   {v1alpha1.ActionCancel, changes{build}, oneObject},
		"a target of another kind is refused": {
			v1alpha1.ActionCancel, changes{given.OfTarget("Deployment", "web")}, `supported values: "CiBuild", "BaseImage", "TargetCluster"`,
		},
		"a target needs a name":      {v1alpha1.ActionCancel, changes{given.OfTarget("BaseImage", "")}, "spec.target.name in body should be at least 1 chars long"},
		"a target's name is no path": {v1alpha1.ActionCancel, changes{given.OfTarget("BaseImage", "a/b")}, "spec.target.name in body should match"},
		"a pipeline needs a name":    {v1alpha1.ActionRollback, changes{given.OfPipeline("")}, "spec.pipelineRef.name in body should be at least 1 chars long"},
		"a build needs a name":       {v1alpha1.ActionTrigger, changes{pipeline, given.OfBuild("")}, "spec.buildRef.name in body should be at least 1 chars long"},
		"a build's name is no path":  {v1alpha1.ActionTrigger, changes{pipeline, given.OfBuild("../b1")}, "spec.buildRef.name in body should match"},
		"another action is refused": {
			"Delete", changes{pipeline, run}, `supported values: "Trigger", "Retry", "Resume", "Cancel", "Rollback"`,
		},
		"another stage is refused": {
			v1alpha1.ActionRetry, changes{pipeline, run, given.AtStage("deploy")}, `supported values: "PRE", "DEPLOY", "POST"`,
		},
		"run 0 is refused": {
			v1alpha1.ActionRetry, changes{pipeline, given.OfRun(0)}, "spec.run in body should be greater than or equal to 1",
		},
		"a reason of 1024 characters is accepted": {
			v1alpha1.ActionRollback, changes{pipeline, given.BecauseOf(strings.Repeat("a", 1024))}, "",
		},
		"a reason of 1025 characters is refused": {
			v1alpha1.ActionRollback, changes{pipeline, given.BecauseOf(strings.Repeat("a", 1025))}, "may not be more than 1024 bytes",
		},
		"the name of every service account is accepted": {
			v1alpha1.ActionRollback,
			changes{pipeline, given.By("system:serviceaccount:" + strings.Repeat("n", 63) + ":" + strings.Repeat("a", 253))}, "",
		},
		"a name of 513 characters is refused": {
			v1alpha1.ActionRollback, changes{pipeline, given.By(strings.Repeat("a", 513))}, "may not be more than 512 bytes",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			request := given.RunRequest("", tc.action, tc.with...)
			request.GenerateName = "request-"
			requireAdmission(t, tc.refusal, p.create(t, request))
		})
	}
}

func TestARunRequestNeedsAnAction(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	request := given.RunRequest("any", v1alpha1.ActionRollback, given.OfPipeline("web"))
	requireAdmission(t, "spec.action: Required value", p.create(t, without(t, request, "spec", "action")))
	requireAdmission(t, "spec: Required value", p.create(t, without(t, request, "spec")))
}

func TestTheSpecOfARunRequestIsImmutable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	request := given.RunRequest("again", v1alpha1.ActionRetry, given.OfPipeline("web"), given.OfRun(1), given.By("ann"))
	require.NoError(t, p.create(t, request))
	for sentence, patch := range map[string]string{
		"the action cannot change":                  `{"spec":{"action":"Cancel"}}`,
		"the pipeline cannot change":                `{"spec":{"pipelineRef":{"name":"other"}}}`,
		"the run cannot change":                     `{"spec":{"run":2}}`,
		"a build cannot take the run's place":       `{"spec":{"run":null,"buildRef":{"name":"b1"}}}`,
		"a target cannot take the pipeline's place": `{"spec":{"action":"Cancel","run":null,"pipelineRef":null,"target":{"kind":"BaseImage","name":"b"}}}`,
		"a stage cannot be added":                   `{"spec":{"stage":"POST"}}`,
		"a reason cannot be added":                  `{"spec":{"reason":"afterthought"}}`,
		"who asked cannot change":                   `{"spec":{"by":"bob"}}`,
		"who asked cannot be taken away":            `{"spec":{"by":null}}`,
		"older builds cannot be allowed later":      `{"spec":{"allowOlder":true}}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			requireAdmission(t, "spec is immutable: create a new RunRequest instead", p.patch(t, request.DeepCopy(), patch))
		})
	}
	require.NoError(t, p.patch(t, request.DeepCopy(), `{"metadata":{"labels":{"team":"blue"}}}`), "metadata may change")
}

func TestTheAnswerToARunRequest(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for sentence, tc := range map[string]struct {
		patch   string
		refusal string
	}{
		"Accepted is an answer":                 {phase("Accepted"), ""},
		"Done is an answer":                     {phase("Done"), ""},
		"Refused is an answer":                  {phase("Refused"), ""},
		"another phase is refused":              {phase("Failed"), `supported values: "Accepted", "Done", "Refused"`},
		"the whole answer is accepted":          {`{"status":{"phase":"Done","run":3,"message":"made run 3","at":"2026-01-02T03:04:05Z"}}`, ""},
		"the spec does not change with it":      {`{"spec":{"action":"Cancel"},"status":{"phase":"Done"}}`, ""},
		"a time that is not one is refused":     {`{"status":{"at":"now"}}`, "status.at: Invalid value: \"now\": at in body must be of type date-time"},
		"the run of an answer must be a number": {`{"status":{"run":"one"}}`, "status.run: Invalid value: \"string\": run in body must be of type integer"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			request := given.RunRequest("", v1alpha1.ActionRetry, given.OfPipeline("web"), given.OfRun(1))
			request.GenerateName = "request-"
			require.NoError(t, p.create(t, request))
			requireAdmission(t, tc.refusal, p.patchStatus(t, request, tc.patch))
			if tc.refusal == "" {
				require.Equal(t, v1alpha1.ActionRetry, request.Spec.Action)
			}
		})
	}
}
