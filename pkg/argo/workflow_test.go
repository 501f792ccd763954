package argo

import (
	"strings"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestTheWorkflowOfARow(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.Spec.Application, p.Spec.Environment = "shop", "staging"
		p.Spec.Deploy.Workflow.ServiceAccountName = "deployer"
		p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region", Value: "eu"}, {Name: "dry-run"}}
	})
	claim := claimOf(pipeline)
	require.Equal(t, &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default",
			Name:      claim.WorkflowName,
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "penstock",
				"penstock.dev/runner":          "42",
				"penstock.dev/identity":        claim.Identity().Hash(),
				"penstock.dev/stage":           "deploy",
				"penstock.dev/pipeline":        "web",
				"penstock.dev/build":           "b1",
			},
			Annotations: map[string]string{
				"penstock.dev/pipeline": "web",
				"penstock.dev/build":    "b1",
				"penstock.dev/image":    given.Artifact(0).Image + "@" + given.Artifact(0).Digest,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "penstock.dev/v1alpha1", Kind: "CdPipeline", Name: "web", UID: given.UID("web"), Controller: ptr.To(true),
			}},
			Finalizers: []string{"penstock.dev/recorded"},
		},
		Spec: wfv1.WorkflowSpec{
			WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: given.Template},
			ServiceAccountName:  "deployer",
			Arguments: wfv1.Arguments{Parameters: []wfv1.Parameter{
				{Name: "region", Value: wfv1.AnyStringPtr("eu")},
				{Name: "dry-run", Value: wfv1.AnyStringPtr("")},
				{Name: "image", Value: wfv1.AnyStringPtr(given.Artifact(0).Image)},
				{Name: "digest", Value: wfv1.AnyStringPtr(given.Artifact(0).Digest)},
				{Name: "revision", Value: wfv1.AnyStringPtr("main")},
				{Name: "application", Value: wfv1.AnyStringPtr("shop")},
				{Name: "environment", Value: wfv1.AnyStringPtr("staging")},
				{Name: "stage", Value: wfv1.AnyStringPtr("DEPLOY")},
				{Name: "build", Value: wfv1.AnyStringPtr("b1")},
			}},
		},
	}, Build(claim, pipeline, &pipeline.Spec.Deploy))
}

func TestBuildIsPure(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	before := pipeline.DeepCopy()
	one, other := Build(claimOf(pipeline), pipeline, &pipeline.Spec.Deploy), Build(claimOf(pipeline), pipeline, &pipeline.Spec.Deploy)
	require.Equal(t, one, other)
	require.Equal(t, before, pipeline)
}

func TestAClusterScopedTemplateIsNamedAsOne(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", clusterScoped)
	workflow := Build(claimOf(pipeline), pipeline, &pipeline.Spec.Deploy)
	require.Equal(t, &wfv1.WorkflowTemplateRef{Name: given.Template, ClusterScope: true}, workflow.Spec.WorkflowTemplateRef)
}

func TestTheApplicationDefaultsToThePipelinesName(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	workflow := Build(claimOf(pipeline), pipeline, &pipeline.Spec.Deploy)
	require.Equal(t, "web", workflow.Spec.Arguments.GetParameterByName("application").Value.String())
	require.Empty(t, workflow.Spec.Arguments.GetParameterByName("environment").Value.String())
}

func TestLabelsAreValidForNamesOf253Characters(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline(strings.Repeat("a", 62) + "." + strings.Repeat("b", 190))
	claim := claimOf(pipeline)
	claim.BuildName = strings.Repeat("c", 253)
	workflow := Build(claim, pipeline, &pipeline.Spec.Deploy)
	for key, value := range workflow.Labels {
		require.Empty(t, validation.IsQualifiedName(key), key)
		require.Empty(t, validation.IsValidLabelValue(value), "%s=%s", key, value)
	}
	require.Equal(t, claim.BuildName, workflow.Annotations[v1alpha1.AnnotationBuild], "the whole name is kept")
	require.Equal(t, claim.Pipeline, workflow.Annotations[v1alpha1.AnnotationPipeline], "the whole name is kept")
}

func TestAWorkflowIsOursOnlyWithOurLabelOurIdentityAndOurOwner(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	claim := claimOf(pipeline)
	for sentence, tc := range map[string]struct {
		change func(*wfv1.Workflow)
		ours   bool
	}{
		"what Build made is":                        {func(*wfv1.Workflow) {}, true},
		"the row's id makes no difference":          {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelRunner] = "1" }, true},
		"labels of others make no difference":       {func(w *wfv1.Workflow) { w.Labels["team"] = "blue" }, true},
		"one without labels is not":                 {func(w *wfv1.Workflow) { w.Labels = nil }, false},
		"one that another system manages is not":    {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelManagedBy] = "helm" }, false},
		"one of another identity is not":            {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelIdentity] = "other" }, false},
		"one without an owner is not":               {func(w *wfv1.Workflow) { w.OwnerReferences = nil }, false},
		"one whose owner does not control it isn't": {func(w *wfv1.Workflow) { w.OwnerReferences[0].Controller = nil }, false},
		"one of a pipeline that had the name is not": {
			func(w *wfv1.Workflow) { w.OwnerReferences[0].UID = given.UID("former") }, false,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			workflow := Build(claim, pipeline, &pipeline.Spec.Deploy)
			tc.change(workflow)
			require.Equal(t, tc.ours, isOurs(workflow, claim))
		})
	}
}

func clusterScoped(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Workflow.TemplateRef.ClusterScope = true }
