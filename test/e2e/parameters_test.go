package e2e

import (
	"context"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// redeclare has a template declare these parameters instead.
func redeclare(t *testing.T, w *world.World, template *wfv1.WorkflowTemplate, parameters ...wfv1.Parameter) error {
	changed := template.DeepCopy()
	changed.Spec.Arguments.Parameters = parameters
	return w.Cluster.Patch(t.Context(), changed, client.MergeFrom(template))
}

func TestParametersAreCheckedBeforeAnythingIsCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Argo's CRDs take it, and its Go types do not.
	broken := argo.Template(argo.KindTemplate)
	broken.SetName("broken")
	broken.Object["spec"] = map[string]any{"arguments": map[string]any{"parameters": "all"}, "templates": "none"}
	choosy := given.Declares(given.WorkflowTemplate("choosy", time.Second), given.OneOf("environment", "dev", "prod"))
	byRevision := given.Declares(given.WorkflowTemplate("by-revision", time.Second), given.OneOf("revision", "v1"))
	inQA := func(p *v1alpha1.CdPipeline) { p.Spec.Environment = "qa" }
	w.Create(broken, choosy, byRevision, given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("choosy"), inQA),
		given.CdPipeline("main", given.Runs("by-revision")), given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy), given.Runs("choosy"), func(p *v1alpha1.CdPipeline) {
			p.Spec.Environment = "prod"
		}))
	w.Start()
	w.KubectlTells("get cdpipeline main", "Ready")
	w.KubectlTells("get cdpipeline web", "InvalidParameters")
	const sentence = `parameter environment is "qa", and WorkflowTemplate choosy allows "dev", "prod": correct spec.environment or the template's enum`
	w.KubectlTells("describe cdpipeline web", "stage DEPLOY: "+sentence, "Warning")

	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Error/InvalidParameters")
	stagesAre(w, "main", "app-1", "DEPLOY Error/InvalidParameters")
	w.KubectlTells("describe cdpipeline web", "InvalidParameters: "+sentence+"; then create a RunRequest with action Retry")
	w.KubectlTells("describe cibuild app-1", "web DEPLOY ended as Error (InvalidParameters: "+sentence, "build another revision, or correct the template's enum")
	require.Empty(t, w.Workflows())

	// Once they are mended, and for one that waited meanwhile, the template counts as it is now.
	stagesAre(w, "manual", "app-1", "DEPLOY Held/Person")
	require.NoError(t, redeclare(t, w, choosy, given.OneOf("environment", "qa"), wfv1.Parameter{Name: "region", Default: wfv1.AnyStringPtr("north"), Value: wfv1.AnyStringPtr("north")}))
	w.KubectlTells("get cdpipeline web", "Ready")
	w.KubectlTells("get cdpipeline manual", "InvalidParameters")
	w.Create(given.RunRequest("again", v1alpha1.ActionRetry, given.OfPipeline("web"), given.OfBuild("app-1")),
		given.RunRequest("resume", v1alpha1.ActionResume, given.OfPipeline("manual"), given.OfBuild("app-1")))
	stagesAre(w, "manual", "app-1", "DEPLOY Error/InvalidParameters")
	runsAre(t, w, "web", "app-1 Error", "app-1 Succeeded")
	w.Judge()
}

// What Penstock refuses for want of a value, Argo would fail.
func TestArgoReadsNoDefaultOfAnArgument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := &wfv1.ValueFrom{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "region"}}
	for name, parameter := range map[string]wfv1.Parameter{
		"default":        {Name: "region", Default: wfv1.AnyStringPtr("north")},
		"source-default": {Name: "region", ValueFrom: &wfv1.ValueFrom{Default: wfv1.AnyStringPtr("north")}},
		"source-enum":    {Name: "region", Enum: []wfv1.AnyString{"north"}, ValueFrom: key},
	} {
		workflow := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: name}}}
		w.Create(given.Declares(given.WorkflowTemplate(name, time.Second), parameter))
		w.Create(workflow)
		w.Eventually(name+" has a phase", func(ctx context.Context) bool {
			require.NoError(t, w.Cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow))
			return workflow.Status.Phase != wfv1.WorkflowUnknown
		})
		require.Equal(t, wfv1.WorkflowFailed, workflow.Status.Phase, name)
		require.Contains(t, workflow.Status.Message, "invalid spec: spec.arguments.region", name)
	}
}
