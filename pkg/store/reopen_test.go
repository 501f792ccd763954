package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// taskOf is the stage's first task, or a later attempt, of a build's only run in a pipeline.
func taskOf(t testing.TB, s *store.Store, build, pipeline string, stage trigger.Stage, attempt int) store.Claim {
	t.Helper()
	var claim store.Claim
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT id, namespace, workflow_name, identity FROM task
		WHERE inputs->>'build' = $1 AND owner_name = $2 AND inputs->>'stage' = $3 ORDER BY id LIMIT 1 OFFSET $4`,
		build, pipeline, string(stage), attempt-1).Scan(&claim.ID, &claim.Namespace, &claim.WorkflowName, &claim.Identity))
	return claim
}

// doubts are what is known of a Workflow that was seen in a phase after its task's end.
func doubts(t testing.TB, s *store.Store, task store.Claim, phase store.Status) []store.Doubt {
	t.Helper()
	found, err := s.EndedOtherwise(t.Context(), []store.Observation{seen(task, phase)})
	require.NoError(t, err)
	return found
}

// retried has the Workflow of an ended task go on, as Argo's retry does.
func retried(t testing.TB, s *store.Store, task store.Claim) store.Reopened {
	t.Helper()
	found := doubts(t, s, task, store.StatusRunning)
	require.Len(t, found, 1)
	reopened, err := s.Reopen(t.Context(), []store.Retried{{Doubt: found[0], Status: store.StatusRunning, Message: "retried in Argo"}})
	require.NoError(t, err)
	require.Len(t, reopened, 1)
	require.Equal(t, "Running", reopened[0].Status)
	return reopened[0]
}

// endsAs sees the Workflow's end and commits what follows.
func endsAs(t testing.TB, s *store.Store, task store.Claim, end store.Status, family given.Family) {
	t.Helper()
	observe(t, s, task, end)
	followAll(t, s, family)
}

// stagesOfBuild are a build's stages in a pipeline, each with its status and reason.
func stagesOfBuild(t testing.TB, s *store.Store, build, pipeline string) []string {
	t.Helper()
	return table(t, s, `SELECT r.stage || ' ' || concat_ws('/', t.status, NULLIF(t.reason, '')) FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
		WHERE t.inputs->>'build' = $1 AND t.owner_name = $2 ORDER BY r.id`, build, pipeline)
}

// turnOf is where a build's turn in web is, and whether it has not ended.
func turnOf(t testing.TB, s *store.Store, build string) string {
	t.Helper()
	return fmt.Sprint(table(t, s, `SELECT n.state || (n.ended_at IS NULL) FROM turn n JOIN ci_build b USING (build_uid) WHERE b.build_name = $1 AND n.pipeline_uid = $2 ORDER BY n.id`,
		build, string(given.UID("web"))))
}

// chainOf is web, with what is given, and two pipelines below it, one behind the other.
func chainOf(with ...func(*v1alpha1.CdPipeline)) given.Family {
	return given.FamilyOf(given.CdPipeline("web", with...), given.CdPipeline("below", given.BelowCd("web")), given.CdPipeline("last", given.BelowCd("below")))
}

func TestARunWhoseWorkflowIsRetriedGoesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithPre, given.WithPost)
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	require.Equal(t, []string{"PRE Failed", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, "[Endedfalse]", turnOf(t, s, "b1"))

	pre := taskOf(t, s, "b1", "web", trigger.StagePre, 1)
	reopened := retried(t, s, pre)
	require.Equal(t, store.Reopened{
		Moved: store.Moved{
			ID: pre.ID, WorkflowName: pre.WorkflowName, Status: "Running", Namespace: given.Namespace, Pipeline: "web", PipelineUid: string(given.UID("web")), BuildName: "b1",
		},
		Stage: trigger.StagePre,
	}, reopened)
	require.Equal(t, []string{"PRE Running/WorkflowRetried", "DEPLOY Held/StageBefore", "POST Held/StageBefore"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b1"))
	require.Equal(t, []string{"1 true true", "1 true true", "1 true true"}, table(t, s, "SELECT reopened, finished_at IS NULL, settled_at IS NULL FROM task ORDER BY id"))
	require.Equal(t, 1, count(t, s, "cd_workflow WHERE outcome IS NULL AND finished_at IS NULL AND NOT overtaken"))
	require.Equal(t, []string{"Task Running WorkflowRetried Argo retried in Argo"}, table(t, s,
		"SELECT kind, state, reason, actor, message FROM event WHERE task_id = $1 ORDER BY id DESC LIMIT 1", pre.ID))
	require.Empty(t, doubts(t, s, pre, store.StatusRunning), "it goes on")

	endsAs(t, s, pre, store.StatusSucceeded, family)
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Succeeded", "POST Succeeded"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, []string{"Failed", "Reopened", "Succeeded"}, table(t, s, "SELECT state FROM event WHERE kind = 'Run' AND pipeline = 'web' ORDER BY id"))
	require.Equal(t, []string{"below Triggered Triggered", "last Triggered Triggered", "web Triggered Triggered"}, table(t, s, decisionsByName))
	require.Equal(t, 3, count(t, s, "cd_workflow WHERE outcome = 'Succeeded'"))
}

func TestARetriedRunThatANewerBuildHasOvertakenIsFollowedAlone(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		with    []func(*v1alpha1.CdPipeline)
		stages  []string
		outcome string
		below   string
	}{
		"what comes after the stage is superseded": {
			[]func(*v1alpha1.CdPipeline){given.WithPost}, []string{"DEPLOY Succeeded", "POST Superseded/Superseded"}, "Superseded", "Skipped ParentNotTriggered",
		},
		"the last stage has succeeded, and nothing is triggered below": {
			nil, []string{"DEPLOY Succeeded"}, "Succeeded", "Skipped Superseded",
		},
		"a manual stage is superseded as well": {
			[]func(*v1alpha1.CdPipeline){given.WithPost, given.ManualStage(trigger.StagePost)}, []string{"DEPLOY Succeeded", "POST Superseded/Superseded"}, "Superseded", "Skipped ParentNotTriggered",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			family := chainOf(tc.with...)
			plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
			endAll(t, s, store.StatusFailed)
			followAll(t, s, family)
			plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(2)[1:], family)
			claim(t, s, "w", 1)

			deploy := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)
			require.Contains(t, retried(t, s, deploy).Why, "another build has had its turn")
			require.Equal(t, "[Endedfalse]", turnOf(t, s, "b1"))
			require.Equal(t, "[Activetrue]", turnOf(t, s, "b2"))
			require.Equal(t, 1, count(t, s, "event WHERE kind = 'Run' AND state = 'Reopened' AND reason = 'Superseded' AND message LIKE '%nothing comes after%'"))
			endsAs(t, s, deploy, store.StatusSucceeded, family)
			require.Equal(t, tc.stages, stagesOfBuild(t, s, "b1", "web"))
			require.Equal(t, "["+tc.outcome+"]", fate(t, s, "b1", "web"))
			require.Equal(t, []string{tc.below, tc.below}, table(t, s,
				"SELECT outcome, reason FROM trigger_decision WHERE build_name = 'b1' AND pipeline <> 'web'"))
			require.Equal(t, []string{"b1"}, table(t, s, "SELECT build_name FROM deployed"), "the Workflow has deployed it")
			require.Equal(t, "[Activetrue]", turnOf(t, s, "b2"))

			endsAs(t, s, taskOf(t, s, "b2", "web", trigger.StageDeploy, 1), store.StatusSucceeded, family)
			drain(t, s, family, store.StatusSucceeded)
			require.Zero(t, count(t, s, "turn WHERE state NOT IN ('Ended', 'Superseded', 'Yielded')"))
		})
	}
}

func TestUnorderedBuildsTakeTheirTurnOnceMore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(unordered)
	for minute, build := range []string{"b1", "b2"} {
		plannedBuild(t, s, builtAt(build, minute), given.Artifacts(1), family)
	}
	execute(t, s, "UPDATE cd_pipeline SET policy = 'Allow'")
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	deploy := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)
	require.Empty(t, retried(t, s, deploy).Why)
	endsAs(t, s, deploy, store.StatusSucceeded, family)
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "last"))
}

func TestWhatARunTriggeredBelowIsNotTriggeredTwice(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf()
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	deploy := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)
	for _, end := range []store.Status{store.StatusFailed, store.StatusSucceeded} {
		require.Empty(t, retried(t, s, deploy).Why)
		endsAs(t, s, deploy, end, family)
		require.Equal(t, fmt.Sprintf("[%s]", end), fate(t, s, "b1", "web"))
		require.Equal(t, []string{"below Triggered Triggered", "last Waiting ParentRunning", "web Triggered Triggered"}, table(t, s, decisionsByName))
		require.Equal(t, []string{"b1"}, table(t, s, "SELECT build_name FROM deployed"), "the last that succeeded stays")
	}
	drain(t, s, family, store.StatusSucceeded)
	require.Equal(t, []string{"below 1", "last 1", "web 1"}, table(t, s, "SELECT pipeline, count(*) FROM cd_workflow GROUP BY 1 ORDER BY 1"))
}

func TestARunEndsWithTheStageThatEndsLast(t *testing.T) {
	t.Parallel()
	family := chainOf(given.WithPost)
	for sentence, tc := range map[string]struct {
		first, then trigger.Stage
		ends        [2]store.Status
		outcome     string
	}{
		"both succeed":                          {trigger.StageDeploy, trigger.StagePost, [2]store.Status{"Succeeded", "Succeeded"}, "Succeeded"},
		"POST ends before DEPLOY succeeds":      {trigger.StagePost, trigger.StageDeploy, [2]store.Status{"Succeeded", "Succeeded"}, "Succeeded"},
		"DEPLOY fails while POST is under way":  {trigger.StageDeploy, trigger.StagePost, [2]store.Status{"Failed", "Succeeded"}, "Failed"},
		"DEPLOY fails after POST has ended":     {trigger.StagePost, trigger.StageDeploy, [2]store.Status{"Succeeded", "Failed"}, "Failed"},
		"POST fails while DEPLOY is under way":  {trigger.StagePost, trigger.StageDeploy, [2]store.Status{"Failed", "Succeeded"}, "Failed"},
		"each fails otherwise, the last counts": {trigger.StageDeploy, trigger.StagePost, [2]store.Status{"Failed", "Error"}, "Error"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			planned(t, s, "b1", family)
			endAll(t, s, store.StatusSucceeded)
			followAll(t, s, family)
			observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
			require.Empty(t, retried(t, s, taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)).Why)
			require.Equal(t, []string{"DEPLOY Running/WorkflowRetried", "POST Running"}, stagesOfBuild(t, s, "b1", "web"))
			endsAs(t, s, taskOf(t, s, "b1", "web", tc.first, 1), tc.ends[0], family)
			require.Equal(t, "[open]", fate(t, s, "b1", "web"))
			require.Equal(t, "[Activetrue]", turnOf(t, s, "b1"))
			endsAs(t, s, taskOf(t, s, "b1", "web", tc.then, 1), tc.ends[1], family)
			require.Equal(t, "["+tc.outcome+"]", fate(t, s, "b1", "web"))
			require.Equal(t, "[Endedfalse]", turnOf(t, s, "b1"))
		})
	}
}

func TestAStageBehindTwoWaitsForBoth(t *testing.T) {
	t.Parallel()
	family := chainOf(given.WithPre, given.WithPost)
	for sentence, tc := range map[string]struct {
		first, then trigger.Stage
		pre         store.Status
		post        string
	}{
		"DEPLOY ends first":              {trigger.StageDeploy, trigger.StagePre, store.StatusSucceeded, "POST Pending"},
		"PRE ends first":                 {trigger.StagePre, trigger.StageDeploy, store.StatusSucceeded, "POST Pending"},
		"DEPLOY ends first, PRE fails":   {trigger.StageDeploy, trigger.StagePre, store.StatusFailed, "POST Cancelled/StageBeforeFailed"},
		"PRE ends first, and has failed": {trigger.StagePre, trigger.StageDeploy, store.StatusFailed, "POST Cancelled/StageBeforeFailed"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			planned(t, s, "b1", family)
			endAll(t, s, store.StatusSucceeded)
			followAll(t, s, family)
			observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
			retried(t, s, taskOf(t, s, "b1", "web", trigger.StagePre, 1))
			for _, stage := range []trigger.Stage{tc.first, tc.then} {
				require.Contains(t, stagesOfBuild(t, s, "b1", "web"), "POST Held/StageBefore")
				end := tc.pre
				if stage == trigger.StageDeploy {
					end = store.StatusSucceeded
				}
				endsAs(t, s, taskOf(t, s, "b1", "web", stage, 1), end, family)
			}
			require.Contains(t, stagesOfBuild(t, s, "b1", "web"), tc.post)
		})
	}
}

// Both ends may be followed together.
func TestARunEndsWhereItsLastTwoStagesEndAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithPost)
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
	deploy, post := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1), taskOf(t, s, "b1", "web", trigger.StagePost, 1)
	retried(t, s, deploy)
	observe(t, s, deploy, store.StatusSucceeded)
	observe(t, s, post, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Equal(t, 1, count(t, s, "cd_workflow WHERE pipeline = 'below'"))
}

func TestAStageThatWaitsForAPersonWaitsForTheRetriedOneFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithPost, given.ManualStage(trigger.StagePost))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusSucceeded)
	followAll(t, s, family)
	require.Equal(t, "[Yieldedtrue]", turnOf(t, s, "b1"))
	deploy := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)
	require.Empty(t, retried(t, s, deploy).Why)
	require.Equal(t, []string{"DEPLOY Running/WorkflowRetried", "POST Held/StageBefore"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, "[Activetrue]", turnOf(t, s, "b1"))
	endsAs(t, s, deploy, store.StatusSucceeded, family)
	require.Equal(t, []string{"DEPLOY Succeeded", "POST Held/Person"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, "[Yieldedtrue]", turnOf(t, s, "b1"))
}

func TestARetriedAttemptGoesBeforeOneThatHasNotBegun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithRetries(3, time.Hour))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	first, second := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1), taskOf(t, s, "b1", "web", trigger.StageDeploy, 2)
	require.Empty(t, retried(t, s, first).Why)
	require.Equal(t, "Cancelled", status(t, s, second.ID))
	require.Equal(t, []string{"DEPLOY Running/WorkflowRetried"}, stagesOfBuild(t, s, "b1", "web"))
	endsAs(t, s, first, store.StatusFailed, family)
	require.Equal(t, []string{"3"}, table(t, s, "SELECT attempt FROM cd_workflow_runner"), "the next attempt is another")
	require.Equal(t, []string{"DEPLOY Pending"}, stagesOfBuild(t, s, "b1", "web"))
	require.Equal(t, 3, count(t, s, "task"))

	third := taskOf(t, s, "b1", "web", trigger.StageDeploy, 3)
	execute(t, s, "UPDATE task SET available_at = now()")
	claim(t, s, "w", 1)
	require.Contains(t, retried(t, s, first).Why, "another attempt")
	require.Equal(t, []string{"DEPLOY Submitting"}, stagesOfBuild(t, s, "b1", "web"), "which may have its Workflow")
	observe(t, s, first, store.StatusSucceeded)
	require.Empty(t, unfollowed(t, s), "nothing follows it")
	endsAs(t, s, third, store.StatusSucceeded, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
}

// A worker claims without the pipeline's lock: here just while the attempt before is reopened.
func TestAnAttemptThatIsClaimedMeanwhileKeepsItsStage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf(given.WithRetries(3, 0))
	planned(t, s, "b1", family)
	endAll(t, s, store.StatusFailed)
	followAll(t, s, family)
	first, second := taskOf(t, s, "b1", "web", trigger.StageDeploy, 1), taskOf(t, s, "b1", "web", trigger.StageDeploy, 2)
	found := doubts(t, s, first, store.StatusRunning)

	worker, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = worker.Exec(t.Context(), "UPDATE task SET status = 'Submitting', attempt = attempt + 1, claimed_by = 'w', lease_until = now() + interval '1 minute' WHERE id = $1", second.ID)
	require.NoError(t, err)
	var reopened []store.Reopened
	errs := make(chan error, 1)
	go func() {
		var err error
		reopened, err = s.Reopen(t.Context(), []store.Retried{{Doubt: found[0], Status: store.StatusRunning, Message: "retried in Argo"}})
		errs <- err
	}()
	blocked(t, s, 1)
	require.NoError(t, worker.Commit(t.Context()))
	require.NoError(t, <-errs)
	require.Len(t, reopened, 1)
	require.Contains(t, reopened[0].Why, "another attempt")
	require.Equal(t, []string{"DEPLOY Submitting"}, stagesOfBuild(t, s, "b1", "web"))
	endsAs(t, s, second, store.StatusSucceeded, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
}

func TestWhatIsOutOfDateReopensNothing(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		end    store.Status
		phase  store.Status
		change string // of the task
		doubts int
	}{
		"one that failed is seen to run":                 {store.StatusFailed, store.StatusRunning, "", 1},
		"one that failed is seen to have succeeded":      {store.StatusFailed, store.StatusSucceeded, "", 1},
		"one that succeeded is seen to have failed":      {store.StatusSucceeded, store.StatusFailed, "", 1},
		"one that was cancelled is seen to run":          {store.StatusFailed, store.StatusRunning, "status = 'Cancelled'", 1},
		"one that failed is seen to have failed":         {store.StatusFailed, store.StatusFailed, "", 0},
		"one that failed is seen to have ended as Error": {store.StatusFailed, store.StatusError, "", 0},
		"one that was superseded is seen to have failed": {store.StatusFailed, store.StatusFailed, "status = 'Superseded'", 0},
		"one that succeeded is seen to have succeeded":   {store.StatusSucceeded, store.StatusSucceeded, "", 0},
		"a build is never reopened":                      {store.StatusFailed, store.StatusRunning, "kind = 'ci'", 0},
		"one of which the Workflow is not known":         {store.StatusFailed, store.StatusRunning, "workflow_uid = ''", 0},
		"another of the same name is seen to run":        {store.StatusFailed, store.StatusRunning, "workflow_uid = 'another'", 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			family := chainOf()
			planned(t, s, "b1", family)
			task := endAll(t, s, tc.end)[0]
			followAll(t, s, family)
			if tc.change != "" {
				execute(t, s, "UPDATE task SET "+tc.change)
			}
			found := doubts(t, s, task, tc.phase)
			require.Len(t, found, tc.doubts)
			before := fingerprint(t, s)
			late := store.Retried{
				Doubt:  store.Doubt{Namespace: task.Namespace, WorkflowName: task.WorkflowName, WorkflowUID: workflowUID(task), Reopened: int32(tc.doubts)},
				Status: tc.phase, Message: "late",
			}
			reopened, err := s.Reopen(t.Context(), []store.Retried{late})
			require.NoError(t, err)
			require.Empty(t, reopened, "it was read before the task's last end")
			require.Equal(t, before, fingerprint(t, s))
		})
	}
}

func TestAFollowerThatReadBeforeTheRetryIsStale(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf()
	planned(t, s, "b1", family)
	task := endAll(t, s, store.StatusFailed)[0]
	late := consequenceOf(t, unfollowed(t, s)[0], family)
	retried(t, s, task)
	observe(t, s, task, store.StatusSucceeded)
	require.ErrorIs(t, s.Follow(t.Context(), []store.Consequence{late}), store.ErrStale)
	followAll(t, s, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
	require.Equal(t, "[open]", fate(t, s, "b1", "below"))
}

func TestAStoppedRunThatIsRetriedIsStoppedNoMore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := chainOf()
	planned(t, s, "b1", family)
	task := claim(t, s, "w", 1)[0]
	observe(t, s, task, store.StatusRunning)
	cancelRun(t, s, family)
	endsAs(t, s, task, store.StatusFailed, family)
	require.Equal(t, "[Cancelled]", fate(t, s, "b1", "web"))
	require.Empty(t, retried(t, s, task).Why)
	stopping, err := s.Stopping(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, stopping)
	endsAs(t, s, task, store.StatusSucceeded, family)
	require.Equal(t, "[Succeeded]", fate(t, s, "b1", "web"))
}

// Both were reopened, and ended before either was followed. How Postgres joins does not decide.
func TestOfTwoStagesThatEndARunTheFirstTellsItsOutcome(t *testing.T) {
	t.Parallel()
	for sentence, sort := range map[string]func([]store.Consequence){
		"the first stage first":  func([]store.Consequence) {},
		"the second stage first": slices.Reverse[[]store.Consequence],
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			for _, join := range []string{"nestloop", "mergejoin"} {
				_, err := s.Pool().Exec(t.Context(), fmt.Sprintf("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET enable_%s = off', current_database()); END $$", join))
				require.NoError(t, err)
			}
			s.Pool().Reset()
			family := chainOf(given.WithPre)
			planned(t, s, "b1", family)
			endAll(t, s, store.StatusSucceeded)
			followAll(t, s, family)
			endAll(t, s, store.StatusFailed)
			followAll(t, s, family)
			pre, deploy := taskOf(t, s, "b1", "web", trigger.StagePre, 1), taskOf(t, s, "b1", "web", trigger.StageDeploy, 1)
			retried(t, s, deploy)
			retried(t, s, pre)
			observe(t, s, pre, store.StatusError)
			observe(t, s, deploy, store.StatusFailed)
			var consequences []store.Consequence
			for _, ended := range unfollowed(t, s) {
				consequences = append(consequences, consequenceOf(t, ended, family))
			}
			require.Len(t, consequences, 2)
			sort(consequences)
			require.NoError(t, s.Follow(t.Context(), consequences))
			require.Equal(t, []string{string(consequences[0].Ended.Status)}, table(t, s, "SELECT outcome FROM cd_workflow WHERE pipeline = 'web'"))
			require.Equal(t, 2, count(t, s, "event WHERE kind = 'Run' AND pipeline = 'web' AND state <> 'Reopened'"))
		})
	}
}
