package build

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	began = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	// atSecond is the same as the API keeps it.
	atSecond = &metav1.Time{Time: began.Truncate(time.Second)}
)

// reported is a build of which Penstock has written conditions and counts before.
func reported() *v1alpha1.CiBuild {
	build := given.CiBuild("shop-1", given.BuildOf("shop"), given.OfRef("main"))
	build.Generation = 1
	build.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPlanned}}
	build.Status.Reason, build.Status.Message = "Turn", "as it was before"
	return build
}

// keeps has the parts of the status that others write.
func keeps(t *testing.T, status v1alpha1.CiBuildStatus) {
	t.Helper()
	require.Equal(t, reported().Status.Conditions, status.Conditions)
	require.Equal(t, int64(1), status.ObservedGeneration)
}

func at(moment time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: moment, Valid: true} }

func TestABuildThatHasNotEndedTellsWhereItStands(t *testing.T) {
	t.Parallel()
	workflow := &v1alpha1.WorkflowReference{Name: "shop-build-x", UID: "w-1"}
	task := func(status store.Status, reason v1alpha1.Reason, message string) *store.BuildTask {
		return &store.BuildTask{Status: status, Reason: reason, Message: message, WorkflowName: "shop-build-x"}
	}
	started := func(status store.Status) *store.BuildTask {
		made := task(status, "", "")
		made.HadWorkflow, made.WorkflowUID, made.StartedAt = true, "w-1", at(began)
		return made
	}
	for sentence, test := range map[string]struct {
		task     *store.BuildTask
		phase    v1alpha1.BuildPhase
		reason   string
		message  string
		workflow *v1alpha1.WorkflowReference
		started  *metav1.Time
	}{
		"its pipeline is suspended":    {nil, v1alpha1.BuildPending, "Suspended", "CiPipeline shop is suspended: set spec.suspend to false, and the build starts", nil, nil},
		"it waits for its turn":        {task(store.StatusHeld, v1alpha1.ReasonTurn, ""), v1alpha1.BuildPending, "Turn", "another build of ref main of CiPipeline shop has its turn: this one starts when that has ended (concurrencyPolicy Latest)", nil, nil},
		"it waits for its template":    {task(store.StatusHeld, v1alpha1.ReasonTemplate, "it does not exist"), v1alpha1.BuildPending, "Template", "it does not exist", nil, nil},
		"it is in the queue":           {task(store.StatusPending, "", ""), v1alpha1.BuildPending, "", "", nil, nil},
		"it is set aside":              {task(store.StatusPending, "QuotaExceeded", "exceeded quota"), v1alpha1.BuildPending, "QuotaExceeded", "exceeded quota", nil, nil},
		"its Workflow is created":      {task(store.StatusSubmitting, "", ""), v1alpha1.BuildPending, "", "", nil, nil},
		"Argo has not started it":      {started(store.StatusSubmitted), v1alpha1.BuildPending, "", "", workflow, atSecond},
		"Argo runs it":                 {started(store.StatusRunning), v1alpha1.BuildRunning, "", "", workflow, atSecond},
		"its message is cut, and long": {task(store.StatusPending, "PolicyDenied", strings.Repeat("ä", 4000)), v1alpha1.BuildPending, "PolicyDenied", "ä", nil, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			before := reported()
			status := underWay(before, given.CiPipeline("shop"), test.task)
			keeps(t, status)
			require.Equal(t, test.phase, status.Phase)
			require.Equal(t, test.reason, status.Reason)
			require.True(t, strings.HasPrefix(status.Message, test.message), status.Message)
			require.Equal(t, test.message == "", status.Message == "")
			require.LessOrEqual(t, len(status.Message), maxMessage)
			require.Equal(t, test.workflow, status.WorkflowRef)
			require.Equal(t, test.started, status.StartedAt)
			require.Equal(t, reported(), before, "what was read is not changed")
		})
	}
}

func TestABuildWhoseTaskHasEndedIsLeftToTheEnder(t *testing.T) {
	t.Parallel()
	for _, status := range []store.Status{store.StatusSucceeded, store.StatusFailed, store.StatusError, store.StatusCancelled, store.StatusSuperseded} {
		require.Equal(t, reported().Status, underWay(reported(), given.CiPipeline("shop"), &store.BuildTask{Status: status}))
	}
}

func TestABuildWithoutARefWaitsForOnesWithoutARef(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b")
	pipeline := given.CiPipeline("shop", given.BuildPolicy(v1alpha1.ConcurrencyQueue))
	require.Equal(t, "another build without a ref of CiPipeline shop has its turn: this one starts when that has ended (concurrencyPolicy Queue)", waitsForTurn(build, pipeline))
}

func TestABuildThatHasEndedTellsHow(t *testing.T) {
	t.Parallel()
	artifacts := given.Artifacts(2)
	lacks := &problem{v1alpha1.ReasonNoArtifacts, "it has none"}
	for sentence, test := range map[string]struct {
		status    store.Status
		reason    v1alpha1.Reason
		artifacts []v1alpha1.Artifact
		missing   *problem
		phase     v1alpha1.BuildPhase
		told      string
		message   string
	}{
		"it succeeded":                    {store.StatusSucceeded, "", artifacts, nil, v1alpha1.BuildSucceeded, "", "m"},
		"it succeeded without artifacts":  {store.StatusSucceeded, "", nil, lacks, v1alpha1.BuildError, "NoArtifacts", "it has none"},
		"its Workflow failed":             {store.StatusFailed, v1alpha1.ReasonWorkflowFailed, nil, nil, v1alpha1.BuildFailed, "WorkflowFailed", "m"},
		"Argo could not run its Workflow": {store.StatusError, v1alpha1.ReasonWorkflowDeleted, nil, nil, v1alpha1.BuildError, "WorkflowDeleted", "m"},
		"somebody cancelled it":           {store.StatusCancelled, v1alpha1.ReasonCancelled, nil, nil, v1alpha1.BuildCancelled, "Cancelled", "m"},
		"a newer one overtook it":         {store.StatusSuperseded, v1alpha1.ReasonSuperseded, nil, nil, v1alpha1.BuildCancelled, "Superseded", "m"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			task := store.BuildTask{Status: test.status, Reason: test.reason, Message: "m", WorkflowName: "w", WorkflowUID: "w-1", HadWorkflow: true, StartedAt: at(began), FinishedAt: at(began)}
			status := ended(reported(), task, test.artifacts, test.missing)
			keeps(t, status)
			require.Equal(t, test.phase, status.Phase)
			require.Equal(t, test.told, status.Reason)
			require.Equal(t, test.message, status.Message)
			require.Equal(t, test.artifacts, status.Artifacts)
			require.Equal(t, atSecond, status.StartedAt)
			require.Equal(t, atSecond, status.FinishedAt)
			require.Equal(t, &v1alpha1.WorkflowReference{Name: "w", UID: "w-1"}, status.WorkflowRef)
		})
	}
}

func TestABuildThatNeverHadAWorkflowNamesNone(t *testing.T) {
	t.Parallel()
	status := ended(reported(), store.BuildTask{Status: store.StatusSuperseded, WorkflowName: "w", FinishedAt: at(began)}, nil, nil)
	require.Nil(t, status.WorkflowRef)
	require.Nil(t, status.StartedAt)
}
