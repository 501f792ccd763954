package report

import (
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWhetherAPipelineIsReadyTellsWhatKeepsItOrWhoDoes(t *testing.T) {
	t.Parallel()
	noTemplate := given.Runs("nowhere")
	for sentence, tc := range map[string]struct {
		with []func(*v1alpha1.CdPipeline)
		want string
	}{
		"one that builds start is":                      {nil, "true Ready: triggered by builds of CiPipeline ci"},
		"one that a person starts is, and tells so":     {[]func(*v1alpha1.CdPipeline){given.Manual}, "true ManualTrigger: spec.trigger is Manual: builds do not start it; create a RunRequest with action Trigger to run it"},
		"a suspended one is not":                        {[]func(*v1alpha1.CdPipeline){given.Suspended, given.Held, noTemplate}, "false Suspended: spec.suspend is true: new builds are skipped until it is false"},
		"one on hold is not":                            {[]func(*v1alpha1.CdPipeline){given.Held, given.Manual}, "false Hold: spec.hold is true: runs are planned, and wait until it is false"},
		"one without a template is not":                 {[]func(*v1alpha1.CdPipeline){given.Held, noTemplate}, "false TemplateNotFound: stage DEPLOY: WorkflowTemplate nowhere does not exist: create it, or correct workflow.templateRef, and the stage goes on"},
		"one without a parameter is not":                {[]func(*v1alpha1.CdPipeline){given.Held, given.Runs("choosy")}, `false InvalidParameters: stage DEPLOY: parameter environment has no value, and WorkflowTemplate choosy gives it none and allows "prod": set spec.environment, or give it a value in the template`},
		"one without a parent is not, whatever else is": {[]func(*v1alpha1.CdPipeline){given.Suspended, given.BelowCd("nobody")}, `false ParentNotFound: CdPipeline "nobody" does not exist in this namespace: create it, or correct spec.parentRef`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web", tc.with...)
			d := newDesk(t, []client.Object{given.CiPipeline(given.CI), pipeline, choosy()}...)
			ready, err := d.readiness(t.Context(), pipeline)
			require.NoError(t, err)
			require.Equal(t, tc.want, readinessText(ready.Ready, string(ready.Reason), ready.Message))
		})
	}
}

// choosy is a template that takes one environment alone.
func choosy() *wfv1.WorkflowTemplate {
	return given.Declares(given.WorkflowTemplate("choosy", time.Second), given.OneOf("environment", "prod"))
}

func readinessText(ready bool, reason, message string) string {
	if ready {
		return "true " + reason + ": " + message
	}
	return "false " + reason + ": " + message
}

func TestOnlyWhatMustBeMendedIsAWarning(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		with func(*v1alpha1.CdPipeline)
		want []string
	}{
		"a missing template is one":      {given.Runs("nowhere"), []string{"Warning TemplateNotFound"}},
		"a missing parameter is one":     {given.Runs("choosy"), []string{"Warning InvalidParameters"}},
		"a suspension is none":           {given.Suspended, []string{"Normal Suspended"}},
		"a hold is none":                 {given.Held, []string{"Normal Hold"}},
		"a person's trigger is no event": {given.Manual, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web", tc.with)
			d := newDesk(t, given.CiPipeline(given.CI), pipeline, choosy())
			ready, err := d.readiness(t.Context(), pipeline)
			require.NoError(t, err)
			var told []string
			for _, one := range pipelineNews(v1alpha1.CdPipelineStatus{}, pipelineStatus(pipeline, ready, facts{})) {
				told = append(told, one.kind+" "+one.reason)
			}
			require.Equal(t, tc.want, told)
		})
	}
}
