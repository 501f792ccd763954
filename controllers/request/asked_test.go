package request

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// asked are the events of a pipeline, with who asked and why.
func (s *scene) asked(pipeline string) []string {
	s.t.Helper()
	return s.table(`SELECT concat_ws(' ', kind, NULLIF(stage, ''), state, '|', actor, '|', actor_reason) FROM event WHERE pipeline = $1 ORDER BY id`, pipeline)
}

func TestEveryEventThatFollowsFromARequestTellsWhoAskedAndWhy(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual, given.WithPost, given.ManualStage(trigger.StagePost), given.WithRetries(1, 0)))
	s.built("b1")
	s.done(triggers("r1", "b1", given.By("ann"), given.BecauseOf("the demo is at nine")))
	s.end(store.StatusFailed)
	s.end(store.StatusSucceeded)
	s.done(resumes("r2", given.OfBuild("b1"), given.By("bob"), given.BecauseOf("QA has signed off")))
	s.end(store.StatusSucceeded)
	require.Equal(t, []string{
		"Decision Skipped |  | ",
		"Task DEPLOY Pending | ann | the demo is at nine",
		"Decision Triggered | ann | the demo is at nine",
		"Request Done | ann | the demo is at nine",
		"Task DEPLOY Submitted | ann | the demo is at nine",
		"Task DEPLOY Failed | ann | the demo is at nine",
		"Task DEPLOY Pending | ann | the demo is at nine", // tried again
		"Task DEPLOY Submitted | ann | the demo is at nine",
		"Task DEPLOY Succeeded | ann | the demo is at nine",
		"Task POST Held | ann | the demo is at nine",
		"Task POST Held | bob | QA has signed off", // for the turn, which is free
		"Task POST Pending | bob | QA has signed off",
		"Request Done | bob | QA has signed off",
		"Task POST Submitted | bob | QA has signed off",
		"Task POST Succeeded | bob | QA has signed off",
		"Run Succeeded | ann | the demo is at nine",
	}, s.asked("web"))
}

func TestWhatFollowsBelowARequestedRunTellsWhoAsked(t *testing.T) {
	t.Parallel()
	below := []client.Object{given.CdPipeline("eu", given.BelowCd("web")), given.CdPipeline("eu-west", given.BelowCd("eu"))}
	t.Run("and why", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, append(slices.Clone(below), given.CdPipeline("web"))...)
		s.built("b1")
		s.end(store.StatusSucceeded)
		s.end(store.StatusSucceeded)
		s.end(store.StatusSucceeded)
		s.done(triggers("r1", "b1", given.By("ann"), given.BecauseOf("the demo is at nine")))
		s.end(store.StatusSucceeded)
		s.end(store.StatusSucceeded)
		s.end(store.StatusSucceeded)
		for _, pipeline := range []string{"eu", "eu-west"} {
			events := s.asked(pipeline)
			require.Equal(t, []string{
				"Task DEPLOY Pending | ann | the demo is at nine",
				"Task DEPLOY Submitted | ann | the demo is at nine",
				"Task DEPLOY Succeeded | ann | the demo is at nine",
				"Run Succeeded | ann | the demo is at nine",
			}, events[len(events)-4:], pipeline)
			require.NotContains(t, strings.Join(events[:len(events)-4], "\n"), "ann", "the build's own run was asked for by nobody")
		}
	})
	t.Run("whoever approved its last stage", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, append(slices.Clone(below), given.CdPipeline("web", given.Manual, given.WithPost, given.ManualStage(trigger.StagePost)))...)
		s.built("b1")
		s.done(triggers("r2", "b1", given.By("ann"), given.BecauseOf("the demo is at nine")))
		s.end(store.StatusSucceeded)
		s.done(resumes("r3", given.OfBuild("b1"), given.By("bob"), given.BecauseOf("QA has signed off")))
		s.end(store.StatusSucceeded)
		s.end(store.StatusSucceeded)
		require.Contains(t, s.asked("eu"), "Run Succeeded | ann | ")
	})
}

func TestTheEndOfARunThatWasCancelledTellsWhoCancelledItAndWhy(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPost))
	s.built("b1")
	claims := s.submit()
	s.done(cancels("r1", given.OfBuild("b1"), given.By("eve"), given.BecauseOf("wrong branch")))
	s.see(store.StatusFailed, claims...)
	s.follow()
	events := s.asked("web")
	require.Equal(t, []string{
		"Task DEPLOY Pending |  | ", "Decision Triggered |  | ", "Task DEPLOY Submitted |  | ",
		"Request Done | eve | wrong branch",
		"Task DEPLOY Cancelled | eve | wrong branch",
	}, events[:5])
	require.Equal(t, "Run Cancelled | eve | wrong branch", events[len(events)-1])
}

func TestAClaimTellsWhoAskedForTheStage(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.ManualStage(trigger.StageDeploy)))
	s.built("b1")
	s.done(resumes("r1", given.OfBuild("b1"), given.By("bob"), given.BecauseOf("QA has signed off")))
	claims := s.claim()
	require.Len(t, claims, 1)
	require.Equal(t, []string{"bob", "QA has signed off"}, []string{claims[0].Inputs.Actor, claims[0].Inputs.ActorReason})
}
