package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// endless is CEL that would take ten thousand million steps.
var endless = given.Filter(strings.Repeat("[1,2,3,4,5,6,7,8,9,10].all(x, ", 10) + "true" + strings.Repeat(")", 10))

func TestPoisonEndsItsOwnRowAlone(t *testing.T) {
	t.Parallel()
	const neighbours = 10
	w := newWorld(t, "TEMPLATE_WAIT=1s")
	w.CreateFamily(given.CdPipelines(neighbours, "neighbour"))
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"),
		given.CdPipeline("no-template", given.Runs("nowhere")),
		given.CdPipeline("endless", endless))
	controller := w.Start()
	w.Succeed("b1")
	w.RowsAre(neighbours, "Succeeded")
	w.RowsAre(1, "Error")
	require.Equal(t, "Blocked/FilterTooExpensive", w.Decided("endless"))
	require.Equal(t, "no-template: TemplateNotFound", refused(t, w))
	require.Equal(t, 200, controller.Probe(t.Context(), "/healthz"))
	w.Judge()
}

// refused names the pipelines whose rows ended without a Workflow, and why.
func refused(t *testing.T, w *world.World) string {
	t.Helper()
	var text string
	require.NoError(t, w.Database.QueryRow(t.Context(), `
		SELECT COALESCE(string_agg(owner_name || ': ' || reason, ', ' ORDER BY owner_name), '')
		FROM task WHERE status IN ('Error', 'Cancelled')`).Scan(&text))
	return text
}

func TestASubmissionThatPanicsEndsItsOwnRowAlone(t *testing.T) {
	t.Parallel()
	const children = 10
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	w.CreateFamily(given.CdPipelines(children, "cd"))
	controller := w.StartWith(env.ControllerOptions{
		Binary: "penstock-failpoints", Env: []string{failpoint.Variable + "=" + string(failpoint.SubmitBeforeCreate) + "=3*panic"},
	})
	w.Succeed("b1")
	w.RowsAre(children-1, "Succeeded")
	w.RowsAre(1, "Error")
	require.Contains(t, refused(t, w), ": BuilderPanicked")
	require.InDelta(t, 1, controller.Metric(t.Context(), "penstock_panics_total"), 0)
	w.Judge()
}

func TestLongNamesAreShortenedAndStayDistinct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const most = 253
	build, long := strings.Repeat("b", most), strings.Repeat("a-very-long-name.", 14)+"x"
	w.Create(given.CiPipeline(given.CI), given.CiBuild(build),
		given.CdPipeline(strings.Repeat("c", most)), given.CdPipeline(strings.Repeat("c", most-1)+"d"),
		given.CdPipeline(long+"1"), given.CdPipeline(long+"2"))
	w.Start()
	w.Succeed(build)
	w.RowsAre(4, "Succeeded")
	names := map[string]bool{}
	for _, workflow := range w.Workflows() {
		require.LessOrEqual(t, len(workflow.Name), 63)
		names[workflow.Name] = true
	}
	require.Len(t, names, 4)
	w.Judge()
}

// The API server stores no CdPipeline of which the Workflow is too large, unless its
// own limits are lowered. So the submission alone is tried, with pipelines that it
// never had to store.
func TestAWorkflowThatTheAPIServerCannotStoreIsRefusedForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for sentence, size := range map[string]int{
		"more than etcd takes in one request":           1_600_000,
		"more than the API server sends to etcd":        2_500_000,
		"more than the API server takes in one request": 3_200_000,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("large", given.InNamespace(w.Namespace), parameters(size))
			known := fake.NewClientBuilder().WithScheme(w.Cluster.Scheme()).
				WithObjects(pipeline, inNamespace(given.WorkflowTemplate(given.Template, time.Second), w.Namespace)).Build()
			submitter := argo.Submitter{Builders: argo.Builders{store.KindCd: argo.Stages{}}, Cache: known, Live: w.Everywhere}
			claim := store.Claim{
				ID: 1, Attempt: 1, Kind: store.KindCd, Namespace: w.Namespace, WorkflowName: "large",
				Owner:  store.Owner{Kind: "CdPipeline", Name: pipeline.Name, UID: string(pipeline.UID)},
				Inputs: trigger.Inputs{Stage: trigger.StageDeploy},
			}
			var refusal *argo.Refusal
			// A busy API server may take longer than a request may: that is tried again.
			w.Eventually("a refusal", func(ctx context.Context) bool {
				_, err := submitter.Submit(ctx, claim)
				return errors.As(err, &refusal)
			})
			require.Equal(t, v1alpha1.ReasonWorkflowInvalid, refusal.Reason)
		})
	}
}

// The API server answers with 422, as it does where a Workflow could never be.
func TestWhatAnAdmissionPolicyDeniesWaitsUntilItIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("denied"), given.CdPipeline("neighbour"))
	allow := denyWorkflowsOf(t, w, "denied")
	w.Start()
	w.Succeed("b1")
	w.RowsAre(1, "Succeeded")
	w.Eventually("the row tells why it waits", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE reason = 'PolicyDenied' AND message LIKE '%denied request: not today%'`) == 1
	})
	allow()
	w.RowsAre(2, "Succeeded")
	w.Judge()
}

// denyWorkflowsOf has the API server deny the Workflows of one pipeline until allow is
// called.
func denyWorkflowsOf(t *testing.T, w *world.World, pipeline string) (allow func()) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "deny-" + w.Namespace}
	workflows := admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{"argoproj.io"}, APIVersions: []string{"*"}, Resources: []string{"workflows"}},
	}}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.Namespace}},
			ResourceRules:     []admissionv1.NamedRuleWithOperations{workflows},
		},
		Validations: []admissionv1.Validation{{
			Expression: fmt.Sprintf("!object.metadata.?ownerReferences.orValue([]).exists(owner, owner.name == %q)", pipeline),
			Message:    "not today",
		}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	allow = func() {
		for _, object := range []client.Object{binding, policy} {
			require.NoError(t, client.IgnoreNotFound(w.Everywhere.Delete(context.Background(), object)))
		}
	}
	t.Cleanup(allow)
	require.NoError(t, w.Everywhere.Create(t.Context(), policy))
	require.NoError(t, w.Everywhere.Create(t.Context(), binding))
	w.Eventually("the policy denies", func(ctx context.Context) bool {
		workflow := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Name: "any", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: pipeline, UID: "any"},
		}}}
		err := w.Cluster.Create(ctx, workflow, client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "not today")
	})
	return allow
}

// parameters gives the pipeline so many bytes.
func parameters(size int) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		for i := range 64 {
			pipeline.Spec.Deploy.Workflow.Parameters = append(pipeline.Spec.Deploy.Workflow.Parameters,
				v1alpha1.Parameter{Name: fmt.Sprintf("p%d", i), Value: new(strings.Repeat("x", size/64))})
		}
	}
}

func inNamespace(object client.Object, namespace string) client.Object {
	object.SetNamespace(namespace)
	return object
}
