package report

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// sizes are how many characters of messages and how many repositories a status has.
type sizes struct{ message, deployed int }

func sizeOf(status v1alpha1.CdPipelineStatus) sizes {
	longest := 0
	for _, condition := range status.Conditions {
		longest = max(longest, len(condition.Message))
	}
	return sizes{longest, len(status.Deployed)}
}

// fullDesk is a pipeline with a long message and twenty repositories, and an API server that
// stores no status with more than so many of these.
func fullDesk(t *testing.T, most int, refusal error) (d *desk, tried *[]sizes) {
	t.Helper()
	d = newDesk(t, web())
	d.rows.decision = &store.LastDecision{
		BuildName: "b1", Outcome: v1alpha1.OutcomeBlocked, Reason: v1alpha1.ReasonInvalidFilter, Message: strings.Repeat("m", 5000),
	}
	for _, artifact := range given.Artifacts(20) {
		d.rows.deployed = append(d.rows.deployed, v1alpha1.Deployed{Image: artifact.Image, Digest: artifact.Digest, BuildName: "b1", At: metav1.Unix(1, 0)})
	}
	tried = &[]sizes{}
	d.Writer = interceptor.NewClient(d.server, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, server client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			size := sizeOf(object.(*v1alpha1.CdPipeline).Status)
			*tried = append(*tried, size)
			if size.deployed > most {
				return refusal
			}
			return d.patch(ctx, server, sub, object, patch, opts...)
		},
	})
	d.Pipelines(named("web"))
	return d, tried
}

func TestAStatusThatIsTooLargeIsCutUntilItFits(t *testing.T) {
	t.Parallel()
	for sentence, refusal := range map[string]error{
		"for the API server": apierrors.NewRequestEntityTooLargeError("limit is 3145728"),
		"for etcd":           apierrors.NewInternalError(errors.New("etcdserver: request is too large")),
		"for its schema":     apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("CdPipeline").GroupKind(), "web", nil),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			d, tried := fullDesk(t, 4, refusal)
			for range 5 {
				require.True(t, d.reports(t))
			}
			require.Len(t, *tried, 3)
			require.Equal(t, []int{20, 16, 4}, []int{(*tried)[0].deployed, (*tried)[1].deployed, (*tried)[2].deployed})
			require.Equal(t, 256, (*tried)[2].message)
			require.Len(t, d.pipeline(t).Status.Deployed, 4)
			d.Pipelines(named("web"))
			require.True(t, d.reports(t))
			require.Len(t, *tried, 3, "nothing has changed")
		})
	}
}

func TestAStatusThatNeverFitsIsNotTriedAgainUntilItsObjectChanges(t *testing.T) {
	t.Parallel()
	d, tried := fullDesk(t, -1, apierrors.NewRequestEntityTooLargeError("limit is 3145728"))
	for range 10 {
		require.True(t, d.reports(t))
	}
	require.Len(t, *tried, 1+len(cutTo))
	d.Pipelines(named("web"))
	require.True(t, d.reports(t))
	require.Len(t, *tried, 1+len(cutTo), "nothing has changed")
	smaller := d.pipeline(t)
	smaller.Labels = map[string]string{"is": "smaller"}
	require.NoError(t, d.server.Update(t.Context(), smaller))
	d.Pipelines(named("web"))
	require.True(t, d.reports(t))
	require.Len(t, *tried, 2+len(cutTo))
	require.Equal(t, 20, (*tried)[1+len(cutTo)].deployed, "all of it is tried first")
}

func TestAStatusThatAPolicyDeniesIsWrittenOnceItIsAllowed(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"ValidatingAdmissionPolicy 'frozen' with binding 'frozen' denied request: no", `admission webhook "frozen" denied the request: no`} {
		d, tried := fullDesk(t, -1, &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid, Code: 422, Message: message}})
		for range 10 {
			d.reports(t)
		}
		require.Len(t, *tried, 10)
		d.Writer = d.server
		d.reports(t)
		require.Len(t, d.pipeline(t).Status.Deployed, 20)
	}
}

func TestWhatIsNotNamedIsCounted(t *testing.T) {
	t.Parallel()
	failure := store.Failure{Pipeline: "web", Stage: trigger.StageDeploy, Status: store.StatusFailed, Message: "exit 1"}
	summary := &store.Summary{Failures: []store.Failure{failure, failure}, Triggers: v1alpha1.TriggerSummary{Failed: 4, Superseded: 1}}
	require.True(t, strings.HasSuffix(describeFailures(summary), "(exit 1); and 3 more"), describeFailures(summary))
	summary.Triggers = v1alpha1.TriggerSummary{Failed: 2}
	require.NotContains(t, describeFailures(summary), "more")
}

func TestWhyABuildIsNotPlannedIsOnItsCondition(t *testing.T) {
	t.Parallel()
	const why = "the database can't be used: it is read-only: it is tried again after 5s at most by itself"
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
	trouble := why
	d.PlanTrouble = func(build types.NamespacedName) string {
		require.Equal(t, named("b1"), build)
		return trouble
	}
	d.Builds(named("b1"))
	for range 2 {
		d.planning[named("b1")] = time.Now().Add(-planningPatience)
		d.Builds(named("b1"))
		require.True(t, d.reports(t))
	}
	require.Equal(t, "False PlanFailed: "+why, line(d.build(t).Status.Conditions, v1alpha1.ConditionPlanned))
	patches := d.patches.value()
	d.planning[named("b1")] = time.Now().Add(-planningPatience)
	d.Builds(named("b1"))
	require.True(t, d.reports(t))
	require.Equal(t, patches, d.patches.value(), "it is written once")
	trouble = ""
	d.planning[named("b1")] = time.Now().Add(-planningPatience)
	d.Builds(named("b1"))
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionPlanned), "False Planning")
}

func TestFiltersThatCostTooMuchTogetherAreToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	condition := plannedCondition(&store.Summary{Decisions: []store.DecisionCount{
		{Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Count: 2},
		{Outcome: v1alpha1.OutcomeBlocked, Reason: v1alpha1.ReasonFilterBudgetExceeded, Count: 1, Examples: []string{"web"}},
	}})
	require.Contains(t, condition.Message, "1 Blocked/FilterBudgetExceeded (web); the filters below this build cost more than 20000000 units together")
}
