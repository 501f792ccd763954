package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// cancels asks for the end of runs of the pipeline web.
func cancels(name string, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
	return given.RunRequest(name, v1alpha1.ActionCancel, append(with, given.OfPipeline("web"))...)
}

// family is a pipeline with three stages, and a child.
func family(t *testing.T, with ...func(*v1alpha1.CdPipeline)) *scene {
	t.Helper()
	return newScene(t, given.CdPipeline("web", append(with, given.WithPre, given.WithPost)...), given.CdPipeline("below", given.BelowCd("web")))
}

// stopping are the Workflows that are to be stopped, but for those of some tasks.
func (s *scene) stopping(passedOver ...int64) []string {
	s.t.Helper()
	tasks, err := s.store.Stopping(s.t.Context(), 100, passedOver...)
	require.NoError(s.t, err)
	names := make([]string, len(tasks))
	for i, task := range tasks {
		names[i] = task.WorkflowName
	}
	return names
}

func TestCancelEndsARunWhereverItIs(t *testing.T) {
	t.Parallel()
	const stopped = "run 1 was cancelled; a Workflow is being stopped"
	for sentence, tc := range map[string]struct {
		with    func(*v1alpha1.CdPipeline)
		bring   func(*scene) []store.Claim // the stage PRE to where it is
		message string
		ends    func(*scene, []store.Claim) // its Workflow
		want    []string
	}{
		"one that waits for a person": {
			with: given.ManualStage(trigger.StagePre), message: "run 1 was cancelled",
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one that is on hold": {
			with: given.Held, message: "run 1 was cancelled",
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one that waits for a slot": {
			message: "run 1 was cancelled",
			want:    []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one whose Workflow is being created": {
			bring: (*scene).claim, message: stopped,
			ends: func(s *scene, claims []store.Claim) {
				require.Empty(s.t, s.stopping(), "it may not exist yet")
				s.complete(claims)
				require.Equal(s.t, []string{claims[0].WorkflowName}, s.stopping())
				s.see(store.StatusFailed, claims...)
			},
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one whose Workflow exists": {
			bring: (*scene).submit, message: stopped,
			ends: func(s *scene, claims []store.Claim) {
				require.Equal(s.t, []string{claims[0].WorkflowName}, s.stopping())
				s.see(store.StatusFailed, claims...)
			},
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one whose Workflow runs": {
			bring: (*scene).running, message: stopped,
			ends: func(s *scene, claims []store.Claim) {
				require.Equal(s.t, []string{claims[0].WorkflowName}, s.stopping())
				s.see(store.StatusFailed, claims...)
			},
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one whose Workflow succeeds anyway: the next stage never starts": {
			bring: (*scene).running, message: stopped,
			ends: func(s *scene, claims []store.Claim) { s.see(store.StatusSucceeded, claims...) },
			want: []string{"PRE Succeeded", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one of which the stage has succeeded, and the next is not released yet": {
			bring: func(s *scene) []store.Claim {
				claims := s.submit()
				s.see(store.StatusSucceeded, claims...)
				return claims
			}, message: "run 1 was cancelled",
			want: []string{"PRE Succeeded", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one that is not tried again after it failed": {
			with: func(web *v1alpha1.CdPipeline) { web.Spec.PreDeploy.Retries = &v1alpha1.Retries{Max: 3} },
			bring: func(s *scene) []store.Claim {
				claims := s.submit()
				s.see(store.StatusFailed, claims...)
				return claims
			}, message: "run 1 was cancelled",
			want: []string{"PRE Failed/WorkflowFailed", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
		"one that is to be tried again later": {
			with: func(web *v1alpha1.CdPipeline) { web.Spec.PreDeploy.Retries = &v1alpha1.Retries{Max: 3} },
			bring: func(s *scene) []store.Claim {
				s.end(store.StatusFailed)
				return nil
			}, message: "run 1 was cancelled",
			want: []string{"PRE Cancelled/Cancelled", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.WithPre, given.WithPost, func(web *v1alpha1.CdPipeline) {
				if tc.with != nil {
					tc.with(web)
				}
			}), given.CdPipeline("below", given.BelowCd("web")))
			s.built("b1")
			s.built("b2") // whose turn comes then
			var claims []store.Claim
			if tc.bring != nil {
				claims = tc.bring(s)
			}
			status := s.done(cancels("r1", given.OfRun(1), given.By("jane"), given.BecauseOf("wrong branch")))
			require.EqualValues(t, 1, status.Run)
			require.Equal(t, tc.message, status.Message)
			if tc.ends != nil {
				tc.ends(s, claims)
			}
			s.follow()
			require.Equal(t, tc.want, s.stages(1))
			require.NotEqual(t, "b1 #1 Succeeded", s.runs("web")[0])
			require.NotEqual(t, "b1 #1 goes on", s.runs("web")[0])
			require.Equal(t, "b1 Blocked/ParentNotSucceeded", s.decided("below")[0])
			require.Equal(t, []string{"Ended"}, s.table(`SELECT state FROM turn n JOIN cd_workflow w ON w.turn_id = n.id WHERE w.id = 1`))
			require.Equal(t, "there is nothing to cancel: run 1 in CdPipeline web has ended", s.refused(cancels("r2", given.OfRun(1))))
			require.Empty(t, s.stopping())
		})
	}
}

// running brings every task of the queue to Running.
func (s *scene) running() []store.Claim {
	claims := s.submit()
	s.see(store.StatusRunning, claims...)
	return claims
}

func TestACancelledTaskSaysByWhomAndWhy(t *testing.T) {
	t.Parallel()
	s := family(t)
	s.built("b1")
	claims := s.submit()
	s.done(cancels("r1", given.OfRun(1), given.By("jane"), given.BecauseOf("wrong branch")))
	s.see(store.StatusFailed, claims...)
	require.Equal(t, []string{"Cancelled cancelled by jane: wrong branch"}, s.table(`SELECT status || ' ' || message FROM task WHERE reason = 'Cancelled'`))
	s.follow()
	require.Equal(t, []string{"b1 #1 Cancelled"}, s.runs("web"))
	s.built("b2")
	s.done(cancels("r2", given.OfBuild("b2")))
	require.Equal(t, []string{"RunRequest r2 cancelled by RunRequest r2"}, s.table(`SELECT actor || ' ' || message FROM event WHERE kind = 'Task' AND state = 'Cancelled' AND build_name = 'b2' AND actor <> ''`))
}

func TestCancelOfABuildEndsAllOfItsRuns(t *testing.T) {
	t.Parallel()
	s := family(t)
	s.built("b1", given.Artifacts(3)...)
	claims := s.submit()
	s.see(store.StatusSucceeded, claims[0])
	s.see(store.StatusRunning, claims[1])
	s.follow()
	s.done(cancels("r1", given.OfRun(3))) // which has not ended yet
	require.Equal(t, []string{claims[2].WorkflowName}, s.stopping())
	require.Empty(t, s.stopping(claims[2].ID), "it was asked already")
	status := s.done(cancels("r2", given.OfBuild("b1")))
	require.Equal(t, "runs 3, 2, 1 were cancelled; a Workflow is being stopped", status.Message)
	s.see(store.StatusFailed, claims[1:]...)
	s.follow()
	require.Equal(t, []string{"b1 #1 Cancelled", "b1 #1 Cancelled", "b1 #1 Cancelled"}, s.runs("web"))
	require.Equal(t, "there is nothing to cancel: every run of build b1 in CdPipeline web has ended", s.refused(cancels("r3", given.OfBuild("b1"))))
}

// The one that cancels first is the one that history names.
func TestASecondCancelChangesNothing(t *testing.T) {
	t.Parallel()
	s := family(t)
	s.built("b1")
	claims := s.submit()
	s.done(cancels("r1", given.OfRun(1), given.By("jane")))
	before := s.table(`SELECT stop_message FROM task WHERE stop_reason <> ''`)
	require.Equal(t, "run 1 was cancelled", s.done(cancels("r2", given.OfRun(1), given.By("joe"))).Message)
	require.Equal(t, before, s.table(`SELECT stop_message FROM task WHERE stop_reason <> ''`))
	s.see(store.StatusFailed, claims...)
	s.done(cancels("r3", given.OfRun(1), given.By("joe")))
	s.follow()
	require.Equal(t, []string{"cancelled by jane"}, s.table(`SELECT message FROM event WHERE kind = 'Task' AND state = 'Cancelled' AND reason = 'Cancelled'`))
}

func TestACancelledRunGivesItsTurnToTheNext(t *testing.T) {
	t.Parallel()
	s := family(t)
	s.built("b1")
	s.built("b2")
	require.Equal(t, []string{"PRE Held/Turn", "DEPLOY Held/StageBefore", "POST Held/StageBefore"}, s.stages(2))
	s.done(cancels("r1", given.OfRun(1)))
	s.follow()
	require.Equal(t, []string{"PRE Pending", "DEPLOY Held/StageBefore", "POST Held/StageBefore"}, s.stages(2))
}

// The follower has read the stage before the request is committed, and commits after it.
func TestAFollowerThatIsUnderWayReleasesNothingOfACancelledRun(t *testing.T) {
	t.Parallel()
	s := family(t)
	s.built("b1")
	s.see(store.StatusSucceeded, s.submit()...)
	read, err := s.store.Unfollowed(t.Context(), 10, nil)
	require.NoError(t, err)
	s.done(cancels("r1", given.OfRun(1)))
	err = s.store.Follow(t.Context(), []store.Consequence{{Ended: read[0], Next: trigger.StageDeploy}})
	require.ErrorIs(t, err, store.ErrStale)
	s.follow()
	require.Equal(t, []string{"PRE Succeeded", "DEPLOY Cancelled/StageBeforeFailed", "POST Cancelled/StageBeforeFailed"}, s.stages(1))
	require.Equal(t, []string{"b1 #1 Cancelled"}, s.runs("web"))
}
