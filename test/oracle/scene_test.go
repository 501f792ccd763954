package oracle_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// planned is a build that was planned, as its status must be.
func (s *scene) planned(name string) *v1alpha1.CiBuild {
	s.Helper()
	summaries, err := s.store.Summaries(s.Context(), []string{string(given.UID(name))})
	require.NoError(s, err)
	return given.CiBuild(name, func(build *v1alpha1.CiBuild) {
		build.UID, build.Status = given.UID(name), truth()
		build.Status.Triggers = &summaries[string(build.UID)].Triggers
		finish(&build.Status)
	})
}

// finish sets the condition Finished as the counts of the status say.
func finish(status *v1alpha1.CiBuildStatus) {
	triggers := status.Triggers
	condition := metav1.Condition{Type: v1alpha1.ConditionFinished, Status: metav1.ConditionFalse}
	switch {
	case triggers.Failed > 0:
		condition.Reason = string(v1alpha1.ReasonRunsFailed)
	case triggers.Active > 0:
		condition.Reason = string(v1alpha1.ReasonRunning)
	default:
		condition.Reason = string(v1alpha1.ReasonWaiting)
	}
	if triggers.Active+triggers.Waiting == 0 {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}

// told gives the pipeline the status that it must have.
func (s *scene) told(pipeline *v1alpha1.CdPipeline) {
	s.Helper()
	uid := string(pipeline.UID)
	runs, err := s.store.LastRuns(s.Context(), []string{uid})
	require.NoError(s, err)
	decisions, err := s.store.LastDecisions(s.Context(), []string{uid})
	require.NoError(s, err)
	deployed, err := s.store.Deployed(s.Context(), []string{uid})
	require.NoError(s, err)
	run, decision := runs[uid], decisions[uid]
	pipeline.Status.Deployed = deployed[uid]
	pipeline.Status.LastRun = &v1alpha1.LastRun{
		Run: run.Run, BuildName: run.BuildName, Image: run.Image, Digest: run.Digest, Stage: string(run.Stage), Phase: string(run.Status),
	}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionTriggered, Status: metav1.ConditionTrue, Reason: string(decision.Reason),
		Message: "triggered " + decision.Message,
	}
	if run.Status == store.StatusHeld {
		condition.Status, condition.Reason = metav1.ConditionFalse, string(run.Reason)
		condition.Message = fmt.Sprintf("build %s: stage %s of run %d waits: %s", run.BuildName, run.Stage, run.Run, run.Message)
	}
	if run.Status == store.StatusPending {
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonTriggersPending)
		condition.Message = fmt.Sprintf("build %s: stage %s of run %d waits for a slot", run.BuildName, run.Stage, run.Run)
	}
	meta.SetStatusCondition(&pipeline.Status.Conditions, condition)
}

// second has another build succeed, of which the pipeline runs.
func (s *scene) second(pipeline *v1alpha1.CdPipeline) {
	s.Helper()
	s.planBuild("b2", given.FamilyOf(pipeline), given.Artifact(0))
	s.told(pipeline)
	s.more = []client.Object{pipeline, s.planned("b2")}
}

// chain hangs a pipeline below another, whose decision waits.
func (s *scene) chain(parent string) {
	s.Helper()
	below := given.CdPipeline("below", given.BelowCd(parent))
	s.execute(`INSERT INTO trigger_decision (build_uid, image, digest, namespace, build_name, pipeline, pipeline_uid, outcome, reason, message)
		SELECT build_uid, image, digest, namespace, build_name, 'below', $1, 'Waiting', 'ParentRunning', '' FROM trigger_decision WHERE pipeline = $2`,
		string(below.UID), parent)
	s.more = []client.Object{given.CdPipeline(parent), below}
}

// refuse has the submission of the next task refused for good, and follows that.
func (s *scene) refuse(reason v1alpha1.Reason) store.Claim {
	s.Helper()
	claim := s.claim()
	_, err := s.store.Complete(s.Context(), "w", []store.Completion{
		{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusError, Reason: reason},
	})
	require.NoError(s, err)
	s.follow(store.Consequence{Outcome: store.StatusError})
	return claim
}

// retry has the Workflow of the next task fail, and its stage be tried again.
func (s *scene) retry() {
	s.Helper()
	claim := s.claim()
	_, err := s.store.Observe(s.Context(), []store.Observation{{
		Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, Identity: claim.Identity, WorkflowUID: "failed",
		Status: store.StatusFailed, Reason: v1alpha1.ReasonWorkflowFailed,
	}})
	require.NoError(s, err)
	s.follow(store.Consequence{Retries: true, RetryAfter: time.Minute})
}

func (s *scene) claim() store.Claim {
	s.Helper()
	claims, err := s.store.Claim(s.Context(), cd, "w", 1, time.Hour)
	require.NoError(s, err)
	return claims[0]
}

// follow commits what follows the one stage that has ended.
func (s *scene) follow(consequence store.Consequence) {
	s.Helper()
	ended, err := s.store.Unfollowed(s.Context(), 1, nil)
	require.NoError(s, err)
	consequence.Ended = ended[0]
	require.NoError(s, s.store.Follow(s.Context(), []store.Consequence{consequence}))
}
