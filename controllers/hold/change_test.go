package hold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

const priorities = `SELECT owner_name || ' ' || (inputs->>'build') || ' ' || (inputs->>'stage') || ' ' || priority FROM task WHERE owner_name = 'web' ORDER BY id`

func TestAnotherPriorityMovesWhatWaits(t *testing.T) {
	t.Parallel()
	for sentence, missed := range map[string]bool{"it is told": false, "nobody has told": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.WithPre), given.CdPipeline("other"))
			s.built("b1")
			s.built("b2")
			events := s.table(`SELECT count(*)::text FROM event`)
			if missed {
				s.update("web", given.Priority(7))
			} else {
				s.change("web", given.Priority(7))
			}
			s.look()
			require.Equal(t, []string{"web b1 PRE 7", "web b1 DEPLOY 7", "web b2 PRE 7", "web b2 DEPLOY 7"}, s.table(priorities))
			require.Equal(t, []string{"0", "0"}, s.table(`SELECT priority::text FROM task WHERE owner_name = 'other'`))
			require.Equal(t, events, s.table(`SELECT count(*)::text FROM event`), "a priority is no transition")
		})
	}
}

func TestAnotherPriorityMovesTheStagesBehindOneThatRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPre))
	s.built("b1")
	_, err := s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Hour)
	require.NoError(t, err)
	s.change("web", given.Priority(-3))
	s.look()
	require.Equal(t, []string{"web b1 PRE 0", "web b1 DEPLOY -3"}, s.table(priorities))
}

// What was tried before may have a Workflow that nobody knows of.
func TestAHoldHasWhatWasTriedBeforeLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	claims, err := s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Hour)
	require.NoError(t, err)
	_, err = s.store.Complete(t.Context(), "w", []store.Completion{{
		ID: claims[0].ID, Attempt: 1, Status: store.StatusPending, Reason: v1alpha1.ReasonSubmissionDelayed, Delay: time.Hour,
	}})
	require.NoError(t, err)
	s.change("web", given.Held)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending/SubmissionDelayed"}, s.stages())
	claims, err = s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Hour)
	require.NoError(t, err)
	require.Len(t, claims, 1, "it is left alone for its back-off")
	hold := trigger.HoldOf(s.pipeline("web"), trigger.StageDeploy, true)
	moved, err := s.store.Complete(t.Context(), "w", []store.Completion{{
		ID: claims[0].ID, Attempt: 2, Status: store.StatusHeld, Reason: hold.Reason, Message: hold.Message,
	}})
	require.NoError(t, err)
	s.Moved(moved)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
	require.Equal(t, []string{"web b1 Yielded"}, s.turns())
	s.change("web", released)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending"}, s.stages())
	require.Equal(t, []string{"web b1 Active"}, s.turns())
}

func TestAHoldYieldsTheTurnOfWhatWaitsForASlot(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.update("web", given.Held)
	s.look() // nobody has told
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
	require.Equal(t, []string{"web b1 Yielded"}, s.turns())
	s.built("b2")
	s.change("web", released)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending", "web b2 DEPLOY Held/Turn"}, s.stages())
}

func TestWhatAPersonAskedForStaysWhereverThePipelineHangs(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Held), given.CdPipeline("other"))
	s.built("b1")
	web := s.pipeline("web")
	request := store.Request{Namespace: given.Namespace, Name: "r1", Action: v1alpha1.ActionTrigger, BuildName: "b2", Pipeline: store.PipelineRef{
		UID: string(web.UID), Namespace: web.Namespace, Name: web.Name,
	}}
	build := given.Build("b2")
	_, err := s.store.Plan(t.Context(), store.BuildPlan{Build: build, Artifacts: given.Artifacts(1)})
	require.NoError(t, err)
	answer, err := s.store.StartRuns(t.Context(), request, store.Starting{
		Build: build, AllowOlder: true, Decisions: s.decider.Requested(build, given.Artifacts(1), web, given.Family{}),
	})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase, answer.Message)
	s.change("web", given.BelowCd("other"))
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Cancelled/ParentChanged", "web b2 DEPLOY Held/Hold"}, s.table(stagesOf, "web"))
	require.Equal(t, []string{"CdPipeline web hangs below CdPipeline other now: what its parent before had triggered is cancelled"},
		s.table(`SELECT message FROM event WHERE reason = 'ParentChanged'`))
}
