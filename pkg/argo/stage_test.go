package argo

import (
	"maps"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// deployOf is the Workflow of the pipeline's stage DEPLOY.
func deployOf(claim store.Claim, pipeline *v1alpha1.CdPipeline) *wfv1.Workflow {
	return stageWorkflow(claim, pipeline, &pipeline.Spec.Deploy)
}

func TestTheWorkflowOfAStage(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.Spec.Application, p.Spec.Environment = "shop", "staging"
		p.Spec.Deploy.Workflow.ServiceAccountName = "deployer"
		p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region", Value: new("eu")}, {Name: "dry-run"}}
	})
	claim := claimOf(pipeline)
	require.Equal(t, &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default",
			Name:      claim.WorkflowName,
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "penstock",
				"penstock.dev/task":            "42",
				"penstock.dev/identity":        claim.Identity,
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
				{Name: "image", Value: wfv1.AnyStringPtr(given.Artifact(0).Image)},
				{Name: "digest", Value: wfv1.AnyStringPtr(given.Artifact(0).Digest)},
				{Name: "revision", Value: wfv1.AnyStringPtr("main")},
				{Name: "application", Value: wfv1.AnyStringPtr("shop")},
				{Name: "environment", Value: wfv1.AnyStringPtr("staging")},
				{Name: "stage", Value: wfv1.AnyStringPtr("DEPLOY")},
				{Name: "build", Value: wfv1.AnyStringPtr("b1")},
			}},
		},
	}, deployOf(claim, pipeline))
}

// A Workflow is given the labels of its stage, then those of the setting; Penstock's own
// stay as they are.
func TestAWorkflowIsGivenTheLabelsOfItsStageAndOfTheSetting(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.Spec.Deploy.Labels = map[string]v1alpha1.LabelValue{"team": "blue", "workflows.argoproj.io/controller-instanceid": "cd"}
	})
	workflow := deployOf(claimOf(pipeline), pipeline)
	before := maps.Clone(workflow.Labels)
	addLabels(workflow, pipeline.Spec.Deploy.Labels)
	addLabels(workflow, map[string]string{"team": "red", "cost": "7", v1alpha1.LabelIdentity: "x"})
	maps.Copy(before, map[string]string{"team": "blue", "cost": "7", "workflows.argoproj.io/controller-instanceid": "cd"})
	require.Equal(t, before, workflow.Labels)
}

func TestBuildingAWorkflowIsPure(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", given.WithTimeout(time.Minute))
	before := pipeline.DeepCopy()
	one, other := deployOf(claimOf(pipeline), pipeline), deployOf(claimOf(pipeline), pipeline)
	require.Equal(t, one, other)
	require.Equal(t, before, pipeline)
}

func TestAClusterScopedTemplateIsNamedAsOne(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", clusterScoped)
	workflow := deployOf(claimOf(pipeline), pipeline)
	require.Equal(t, &wfv1.WorkflowTemplateRef{Name: given.Template, ClusterScope: true}, workflow.Spec.WorkflowTemplateRef)
}

func TestTheApplicationDefaultsToThePipelinesName(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	workflow := deployOf(claimOf(pipeline), pipeline)
	require.Equal(t, "web", workflow.Spec.Arguments.GetParameterByName("application").Value.String())
}

func TestWhatNobodySetIsNotPassedSoThatTheTemplatesDefaultHolds(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "dry-run"}, {Name: "note", Value: new("")}}
	})
	claim := claimOf(pipeline)
	claim.Inputs.Revision = ""
	var names []string
	for _, parameter := range deployOf(claim, pipeline).Spec.Arguments.Parameters {
		names = append(names, parameter.Name)
	}
	require.Equal(t, []string{"note", "image", "digest", "application", "stage", "build"}, names)
}

func TestAStagesTimeoutIsTheWorkflowsDeadline(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		want     *int64
	}{
		"no timeout leaves the template's own": {given.CdPipeline("web"), nil},
		"seconds are seconds":                  {given.CdPipeline("web", given.WithTimeout(90*time.Second)), ptr.To[int64](90)},
		"the shortest is a second":             {given.CdPipeline("web", given.WithTimeout(time.Second)), ptr.To[int64](1)},
		"the longest is thirty days":           {given.CdPipeline("web", given.WithTimeout(720*time.Hour)), ptr.To[int64](2_592_000)},
		"a part of a second counts as a whole": {given.CdPipeline("web", given.WithTimeout(1500*time.Millisecond)), ptr.To[int64](2)},
		"the timeout of another stage is none": {
			given.CdPipeline("web", given.WithPre, func(p *v1alpha1.CdPipeline) {
				p.Spec.PreDeploy.Timeout = &metav1.Duration{Duration: time.Minute}
			}), nil,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, deployOf(claimOf(tc.pipeline), tc.pipeline).Spec.ActiveDeadlineSeconds)
		})
	}
}

func TestOnlyARunThatIsGivenAllArtifactsIsGivenTheirList(t *testing.T) {
	t.Parallel()
	two := []v1alpha1.Artifact{{Image: "app:1.0", Digest: "sha256:a"}, {Image: `odd"name:1`, Digest: "sha256:b"}}
	for sentence, tc := range map[string]struct {
		all       bool
		artifacts []v1alpha1.Artifact
		want      string
	}{
		"a run of one artifact is given none, so that a template need not know it": {false, nil, ""},
		"not even where it has others of its digest":                               {false, two, ""},
		"a run of all is given a JSON list": {
			true, two, `[{"image":"app:1.0","digest":"sha256:a"},{"image":"odd\"name:1","digest":"sha256:b"}]`,
		},
		"a run of all is given a list of one where there is but one": {true, two[:1], `[{"image":"app:1.0","digest":"sha256:a"}]`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web", given.AllArtifacts)
			claim := claimOf(pipeline)
			claim.Inputs.All, claim.Inputs.Artifacts = tc.all, tc.artifacts
			workflow := deployOf(claim, pipeline)
			parameter := workflow.Spec.Arguments.GetParameterByName("artifacts")
			if tc.want == "" {
				require.Nil(t, parameter)
				return
			}
			require.Equal(t, tc.want, parameter.Value.String())
			require.Equal(t, given.Artifact(0).Image, workflow.Spec.Arguments.GetParameterByName("image").Value.String(), "the first is given too")
		})
	}
}

func TestLabelsAreValidForNamesOf253Characters(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline(strings.Repeat("a", 62) + "." + strings.Repeat("b", 190))
	claim := claimOf(pipeline)
	claim.Inputs.Build = strings.Repeat("c", 253)
	workflow := deployOf(claim, pipeline)
	for key, value := range workflow.Labels {
		require.Empty(t, validation.IsQualifiedName(key), key)
		require.Empty(t, validation.IsValidLabelValue(value), "%s=%s", key, value)
	}
	require.Equal(t, claim.Inputs.Build, workflow.Annotations[v1alpha1.AnnotationBuild], "the whole name is kept")
	require.Equal(t, claim.Owner.Name, workflow.Annotations[v1alpha1.AnnotationPipeline], "the whole name is kept")
}

func TestAWorkflowOfTheNameIsOursOnlyWithTheWholeIdentity(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	claim := claimOf(pipeline)
	for sentence, tc := range map[string]struct {
		change func(*wfv1.Workflow)
		ours   bool
	}{
		"what was built is":                   {func(*wfv1.Workflow) {}, true},
		"the task's id makes no difference":   {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelTask] = "1" }, true},
		"labels of others make no difference": {func(w *wfv1.Workflow) { w.Labels["team"] = "blue" }, true},
		"who owns it makes no difference":     {func(w *wfv1.Workflow) { w.OwnerReferences = nil }, true},
		"who manages it makes no difference":  {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelManagedBy] = "helm" }, true},
		"one without labels is not":           {func(w *wfv1.Workflow) { w.Labels = nil }, false},
		"one of another identity is not":      {func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelIdentity] = "other" }, false},
		"one with the part that is in the name isn't": {
			func(w *wfv1.Workflow) { w.Labels[v1alpha1.LabelIdentity] = claim.Identity[:16] }, false,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			workflow := deployOf(claim, pipeline)
			tc.change(workflow)
			require.Equal(t, tc.ours, isOurs(workflow, claim))
		})
	}
}

func clusterScoped(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Workflow.TemplateRef.ClusterScope = true }
