package plan

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestOnlyABuildThatHasEndedAndWasNeverPlannedNeedsAPlan(t *testing.T) {
	t.Parallel()
	planned := func(status metav1.ConditionStatus, reason v1alpha1.Reason) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionPlanned, Status: status, Reason: string(reason)}}
	}
	for sentence, tc := range map[string]struct {
		phase      v1alpha1.BuildPhase
		conditions []metav1.Condition
		deleted    bool
		want       bool
	}{
		"one that waits does not":                    {v1alpha1.BuildPending, nil, false, false},
		"one that runs does not":                     {v1alpha1.BuildRunning, nil, false, false},
		"one that succeeded does":                    {v1alpha1.BuildSucceeded, nil, false, true},
		"one that failed does, to tell its children": {v1alpha1.BuildFailed, nil, false, true},
		"one that was cancelled does":                {v1alpha1.BuildCancelled, nil, false, true},
		"one whose parent was not there yet does":    {v1alpha1.BuildSucceeded, planned("False", v1alpha1.ReasonParentNotFound), false, true},
		"one that is planned does not":               {v1alpha1.BuildSucceeded, planned("True", v1alpha1.ReasonPlanned), false, false},
		"one whose rows are lost does not":           {v1alpha1.BuildSucceeded, planned("False", v1alpha1.ReasonRecordsLost), false, false},
		"one that is being deleted does not":         {v1alpha1.BuildSucceeded, nil, true, false},
	} {
		build := given.CiBuild("b1")
		build.Status.Phase, build.Status.Conditions = tc.phase, tc.conditions
		if tc.deleted {
			build.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}
		require.Equal(t, tc.want, NeedsPlan(build), sentence)
	}
}

func TestAFinishedBuildIsPlannedOnceHoweverOftenItIsLookedAt(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build,
		given.CdPipeline("a"), given.CdPipeline("off", given.Suspended), given.CdPipeline("below", given.BelowCd("a")))
	require.NoError(t, s.look("b1"), "a build that runs is none of our business")
	require.Empty(t, s.table(decided))
	s.finish(build, v1alpha1.BuildSucceeded)
	for range 5 {
		require.NoError(t, s.look("b1"))
	}
	require.Equal(t, []string{"a Triggered/Triggered", "below Waiting/ParentRunning", "off Skipped/Suspended"}, s.table(decided))
	require.Equal(t, []string{"a DEPLOY Pending"}, s.table(queued))
	require.Equal(t, 1, s.woken, "the dispatcher is woken by the plan alone")
	require.Equal(t, []string{"Build b1 ", "Decision b1 a", "Decision b1 below", "Decision b1 off", "Task b1 a"}, s.table(logged))
	require.Equal(t, []string{"b1", "b1", "b1", "b1"}, s.unplanned, "its status may not say yet that it is planned")
}

func TestABuildThatDidNotSucceedTellsEveryPipelineBelow(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"), given.CdPipeline("below", given.BelowCd("a")))
	s.finish(build, v1alpha1.BuildFailed)
	require.NoError(t, s.Plan(t.Context(), s.named("b1")))
	require.Equal(t, []string{"a Skipped/BuildNotSucceeded", "below Skipped/BuildNotSucceeded"}, s.table(decided))
	require.Empty(t, s.table(queued))
}

func TestAChildThatTheCacheDoesNotShowYetIsTriggered(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("new"))
	s.Cache = blind{s.cache}
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Equal(t, []string{"new DEPLOY Pending"}, s.table(queued))
}

func TestACiPipelineThatOnlyTheCacheTakesForSuspendedTriggers(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"))
	s.Cache = outdated{s.cache, func(object client.Object) {
		if ci, ok := object.(*v1alpha1.CiPipeline); ok {
			ci.Spec.Suspend = true
		}
	}}
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Equal(t, []string{"a DEPLOY Pending"}, s.table(queued))
}

func TestABuildWaitsForItsCiPipeline(t *testing.T) {
	t.Parallel()
	build, other := given.CiBuild("b1"), given.CiBuild("b2", given.BuildOf("other"))
	s := newScene(t, build, other, given.CdPipeline("a"))
	s.finish(build, v1alpha1.BuildSucceeded)
	s.finish(other, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Empty(t, s.table(decided))
	require.Equal(t, []string{"b1"}, s.unplanned, "its status is to say what it waits for")

	parent := given.CiPipeline(given.CI)
	s.create(parent)
	require.Equal(t, []reconcile.Request{{NamespacedName: s.named("b1")}}, s.waitingBuilds(t.Context(), parent))
	require.NoError(t, s.look("b1"))
	require.Equal(t, []string{"a Triggered/Triggered"}, s.table(decided))
}

func TestABuildThatIsGoneIsNotPlanned(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CiPipeline(given.CI))
	require.NoError(t, s.look("gone"))
	require.Empty(t, s.unplanned)
}

func TestABuildIsPlannedAsWhatItIs(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1", func(b *v1alpha1.CiBuild) {
		b.Spec.Revision, b.Spec.Cause = "v1.2", &v1alpha1.BuildCause{Type: v1alpha1.CauseWebhook}
	})
	s := newScene(t, given.CiPipeline(given.CI), build)
	s.finish(build, v1alpha1.BuildSucceeded)
	require.Equal(t, trigger.Build{
		UID: string(build.UID), Namespace: s.namespace, Name: "b1", CiPipeline: given.CI, Revision: "v1.2", Cause: "Webhook",
		Phase: v1alpha1.BuildSucceeded, CreatedAt: build.CreationTimestamp.Time,
	}, trigger.FactsOf(build))
	require.False(t, build.CreationTimestamp.IsZero(), "builds are ordered by their creation")
}

func TestAllStagesOfARunAreRowsFromPlanningOn(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build,
		given.CdPipeline("web", given.WithPre, given.WithPost), given.CdPipeline("waits", given.WithPost, given.ManualStage(trigger.StageDeploy)),
		given.CdPipeline("held", given.Held))
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Equal(t, []string{"held DEPLOY Held/Hold", "waits DEPLOY Held/Person", "web PRE Pending"}, s.table(queued))
	require.Equal(t, []string{"waits POST Held/StageBefore", "web DEPLOY Held/StageBefore", "web POST Held/StageBefore"}, s.table(later))
	require.Equal(t, []string{"held Triggered/Triggered", "waits Triggered/Triggered", "web Triggered/Triggered"}, s.table(decided))
}

// To take a failure for the absence of children would lose them all.
func TestAnAPIServerThatFailsLeavesTheBuildUnplanned(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"))
	s.finish(build, v1alpha1.BuildSucceeded)
	broken := errors.New("etcdserver: request timed out")
	s.failing(interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return broken }})
	require.ErrorIs(t, s.look("b1"), broken)
	require.Empty(t, s.table("SELECT build_name FROM ci_build"))
	require.Zero(t, s.woken)
	require.Equal(t, []string{"b1"}, s.unplanned)
	s.Live = s.cluster
	require.NoError(t, s.look("b1"))
	require.Equal(t, []string{"a DEPLOY Pending"}, s.table(queued))
}

// refusing is tables that take no plan.
type refusing struct {
	Rows
	with error
}

func (r refusing) Plan(context.Context, store.BuildPlan) (bool, error) { return false, r.with }

func TestOnlyAPlanThatCanNeverBeCommittedIsGivenUp(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"))
	s.finish(build, v1alpha1.BuildSucceeded)
	for code, final := range map[string]bool{"22021": true, "23514": true, "53300": false, "57P01": false} {
		refusal := &pgconn.PgError{Code: code}
		s.Rows = refusing{s.store, refusal}
		err := s.look("b1")
		require.ErrorIs(t, err, refusal, code)
		require.Equal(t, final, errors.Is(err, reconcile.TerminalError(nil)), code)
	}
}
