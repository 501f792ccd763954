package argo

import (
	"fmt"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// passes gives the DEPLOY stage a parameter of its own.
func passes(name, value string) func(*v1alpha1.CdPipeline) {
	return func(p *v1alpha1.CdPipeline) {
		p.Spec.Deploy.Workflow.Parameters = append(p.Spec.Deploy.Workflow.Parameters, v1alpha1.Parameter{Name: name, Value: &value})
	}
}

func inEnvironment(name string) func(*v1alpha1.CdPipeline) {
	return func(p *v1alpha1.CdPipeline) { p.Spec.Environment = name }
}

// cases are what a template declares and a pipeline passes, and what is wrong with it: before
// any build, and for the revision main.
var cases = map[string]struct {
	declares []wfv1.Parameter
	with     []func(*v1alpha1.CdPipeline)
	unready  string
	refused  string // where it is another text than unready
}{
	"nothing is declared": {with: []func(*v1alpha1.CdPipeline){passes("any", "x")}},
	"a parameter that the template does not declare is passed": {
		declares: []wfv1.Parameter{{Name: "region", Value: wfv1.AnyStringPtr("north")}}, with: []func(*v1alpha1.CdPipeline){passes("any", "x")},
	},
	"a parameter without a value is not passed": {
		declares: []wfv1.Parameter{{Name: "region"}},
		unready:  "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.deploy.workflow.parameters, or give it a value in the template",
	},
	"a parameter with an enum is not passed": {
		declares: []wfv1.Parameter{given.OneOf("region", "north", "south")},
		unready:  `parameter region has no value, and WorkflowTemplate deploy gives it none and allows "north", "south": set it in spec.deploy.workflow.parameters, or give it a value in the template`,
	},
	"a parameter is passed without a value": {
		declares: []wfv1.Parameter{{Name: "region"}},
		with: []func(*v1alpha1.CdPipeline){func(p *v1alpha1.CdPipeline) {
			p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region"}}
		}},
		unready: "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.deploy.workflow.parameters, or give it a value in the template",
	},
	"the empty text is a value": {declares: []wfv1.Parameter{{Name: "region"}}, with: []func(*v1alpha1.CdPipeline){passes("region", "")}},
	"the template finds the value elsewhere": {declares: []wfv1.Parameter{
		{Name: "a", Value: wfv1.AnyStringPtr("")}, {Name: "b", ValueFrom: &wfv1.ValueFrom{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{Key: "k"}}},
	}},
	"Argo does not read a default of an argument": {
		declares: []wfv1.Parameter{{Name: "region", Default: wfv1.AnyStringPtr("x")}},
		unready:  "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.deploy.workflow.parameters, or give it a value in the template",
	},
	"Argo does not read a default without a ConfigMap": {
		declares: []wfv1.Parameter{{Name: "region", ValueFrom: &wfv1.ValueFrom{Default: wfv1.AnyStringPtr("x")}}},
		unready:  "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.deploy.workflow.parameters, or give it a value in the template",
	},
	"Argo takes no ConfigMap beside an enum": {
		declares: []wfv1.Parameter{{Name: "region", Enum: []wfv1.AnyString{"north"}, ValueFrom: &wfv1.ValueFrom{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{Key: "k"}}}},
		unready:  `parameter region has no value, and WorkflowTemplate deploy gives it none and allows "north": set it in spec.deploy.workflow.parameters, or give it a value in the template`,
	},
	"a value that is to be supplied is not": {
		declares: []wfv1.Parameter{{Name: "region", ValueFrom: &wfv1.ValueFrom{Supplied: &wfv1.SuppliedValueFrom{}}}},
		unready:  "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.deploy.workflow.parameters, or give it a value in the template",
	},
	"the environment is allowed": {declares: []wfv1.Parameter{given.OneOf("environment", "dev", "prod")}, with: []func(*v1alpha1.CdPipeline){inEnvironment("prod")}},
	"the environment is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("environment", "dev", "prod")}, with: []func(*v1alpha1.CdPipeline){inEnvironment("qa")},
		unready: `parameter environment is "qa", and WorkflowTemplate deploy allows "dev", "prod": correct spec.environment or the template's enum`,
	},
	"there is no environment": {
		declares: []wfv1.Parameter{{Name: "environment"}},
		unready:  "parameter environment has no value, and WorkflowTemplate deploy gives it none: set spec.environment, or give it a value in the template",
	},
	"a value is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("region", "north", "south")}, with: []func(*v1alpha1.CdPipeline){passes("region", "west")},
		unready: `parameter region is "west", and WorkflowTemplate deploy allows "north", "south": correct spec.deploy.workflow.parameters or the template's enum`,
	},
	"an enum is long": {
		declares: []wfv1.Parameter{given.OneOf("n", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11")}, with: []func(*v1alpha1.CdPipeline){passes("n", "x")},
		unready: `parameter n is "x", and WorkflowTemplate deploy allows "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" and 2 more: correct spec.deploy.workflow.parameters or the template's enum`,
	},
	"Argo evaluates the value": {declares: []wfv1.Parameter{given.OneOf("region", "north")}, with: []func(*v1alpha1.CdPipeline){passes("region", "{{workflow.name}}")}},
	"the template's own value is not allowed": {
		declares: []wfv1.Parameter{{Name: "region", Value: wfv1.AnyStringPtr("west"), Enum: []wfv1.AnyString{"north"}}},
		unready:  `parameter region is "west" in WorkflowTemplate deploy, which allows "north": set it in spec.deploy.workflow.parameters, or correct the template`,
	},
	"two are wrong": {
		declares: []wfv1.Parameter{{Name: "environment"}, given.OneOf("application", "api")},
		unready: "parameter environment has no value, and WorkflowTemplate deploy gives it none: set spec.environment, or give it a value in the template; " +
			`parameter application is "web", and WorkflowTemplate deploy allows "api": correct spec.application or the template's enum`,
	},
	"only the build tells": {declares: []wfv1.Parameter{{Name: "image"}, {Name: "digest"}, {Name: "revision"}, {Name: "build"}, {Name: "stage"}}},
	"the build's revision is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("revision", "v1", "v2")},
		refused:  `parameter revision is "main", and WorkflowTemplate deploy allows "v1", "v2": build another revision, or correct the template's enum`,
	},
	"the list of artifacts is wanted by one that gets each": {
		declares: []wfv1.Parameter{{Name: "artifacts"}},
		unready:  "parameter artifacts has no value, and WorkflowTemplate deploy gives it none: set spec.artifacts to All, or give it a value in the template",
	},
	"the list of artifacts is wanted by one that gets all": {
		declares: []wfv1.Parameter{{Name: "artifacts"}}, with: []func(*v1alpha1.CdPipeline){given.AllArtifacts},
	},
}

func TestParametersAreComparedWithThoseThatTheTemplateDeclares(t *testing.T) {
	t.Parallel()
	for sentence, tc := range cases {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web", tc.with...)
			w := newWorld(t, pipeline, given.Declares(template(), tc.declares...))
			reason, message, err := Unready(t.Context(), w.Cache, pipeline, trigger.StageDeploy)
			require.NoError(t, err)
			require.Equal(t, tc.unready, message)
			require.Equal(t, tc.unready != "", reason == v1alpha1.ReasonInvalidParameters)

			claim := claimOf(pipeline)
			claim.Inputs.Revision = "main"
			if pipeline.Spec.Artifacts == v1alpha1.ArtifactsAll {
				claim.Inputs.All, claim.Inputs.Artifacts = true, given.Artifacts(1)
			}
			want := tc.unready + tc.refused
			if want == "" {
				require.NoError(t, w.submit(t, claim))
				return
			}
			requireRefusal(t, w.submit(t, claim), store.StatusError, v1alpha1.ReasonInvalidParameters, want+"; then create a RunRequest with action Retry")
			require.Empty(t, w.workflows(t))
		})
	}
}

// The message is stored with the task, its event and the conditions.
func TestOfManyParametersWithoutAValueTheFirstAreNamed(t *testing.T) {
	t.Parallel()
	many := make([]any, 2000)
	for i := range many {
		many[i] = map[string]any{"name": fmt.Sprint("p", i)}
	}
	problems := problemsOf(declaring(many...), trigger.StageDeploy, nil)
	require.Contains(t, problems, "parameter p9 has no value")
	require.NotContains(t, problems, "p10")
	require.Contains(t, problems, "; 1990 more parameters have no value, or one that is not allowed")
}

func TestTheParametersOfAClusterWorkflowTemplateAreCheckedToo(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Workflow.TemplateRef.ClusterScope = true })
	cluster := clusterTemplate()
	cluster.Spec.Arguments.Parameters = []wfv1.Parameter{{Name: "region"}}
	requireRefusal(t, newWorld(t, pipeline, cluster).submit(t, claimOf(pipeline)), store.StatusError, v1alpha1.ReasonInvalidParameters,
		"parameter region has no value, and ClusterWorkflowTemplate deploy gives it none")
}

// What is refused is refused by the template as the API server has it.
func TestATemplateThatNowAllowsTheValueRunsItThoughTheCacheIsBehind(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", inEnvironment("qa"))
	w := newWorld(t, pipeline, given.Declares(template(), given.OneOf("environment", "dev", "qa")))
	w.outdated(t, pipeline, given.Declares(template(), given.OneOf("environment", "dev")))
	require.NoError(t, w.submit(t, claimOf(pipeline)))
	require.Len(t, w.workflows(t), 1)
}

func TestAStageWithoutItsTemplateIsUnready(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	reason, message, err := Unready(t.Context(), newServer(t), pipeline, trigger.StageDeploy)
	require.NoError(t, err)
	require.Equal(t, v1alpha1.ReasonTemplateNotFound, reason)
	require.Equal(t, "WorkflowTemplate deploy does not exist: create it, or correct workflow.templateRef, and the stage goes on", message)
}

// declaring is a template as the API server sends it, with these parameters.
func declaring(parameters ...any) *unstructured.Unstructured {
	template := Template(KindTemplate)
	template.SetName("deploy")
	template.SetNamespace(given.Namespace)
	template.Object["spec"] = map[string]any{"entrypoint": "main", "arguments": map[string]any{"parameters": parameters}}
	return template
}

func TestOfATemplateItsNameAndItsParametersAreKept(t *testing.T) {
	t.Parallel()
	whole := declaring(map[string]any{"name": "region", "description": "where", "enum": []any{"north"}})
	whole.SetLabels(map[string]string{"a": "b"})
	whole.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"})
	trimmed, err := TrimTemplate(whole)
	require.NoError(t, err)
	want := declaring(map[string]any{"name": "region", "enum": []any{"north"}})
	delete(want.Object["spec"].(map[string]any), "entrypoint")
	require.Equal(t, want, trimmed)

	bare := Template(KindClusterTemplate)
	bare.SetName("deploy")
	bare.Object["spec"] = map[string]any{"arguments": "nonsense"}
	trimmed, err = TrimTemplate(bare)
	require.NoError(t, err)
	delete(bare.Object, "spec")
	require.Equal(t, bare, trimmed)
	other, err := TrimTemplate("no object")
	require.NoError(t, err)
	require.Equal(t, "no object", other)
}

// Argo's CRDs take almost anything.
func TestValuesAreReadAsArgoReadsThem(t *testing.T) {
	t.Parallel()
	whole := declaring(
		map[string]any{"name": "n", "enum": []any{int64(1), 2.5, true, nil, "x"}, "value": false}, map[string]any{"value": "no name"}, "no parameter",
	)
	require.Equal(t, []declared{{name: "n", value: new("false"), enum: []string{"1", "2.5", "true", "x"}}}, parse(declaredIn(whole)))
	require.Empty(t, declaredIn(Template(KindTemplate)))
}

func TestOnlyOtherParametersMakeATemplateAnother(t *testing.T) {
	t.Parallel()
	before, relabelled := declaring(map[string]any{"name": "n"}), declaring(map[string]any{"name": "n"})
	relabelled.SetLabels(map[string]string{"a": "b"})
	require.True(t, HaveSameParameters(before, relabelled))
	require.False(t, HaveSameParameters(before, declaring(map[string]any{"name": "n", "enum": []any{"x"}})))
}
