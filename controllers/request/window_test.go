package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// heldBy has a worker find that a reason holds everything in the queue.
func (s *scene) heldBy(reason v1alpha1.Reason) {
	s.t.Helper()
	claims := s.claim()
	require.NotEmpty(s.t, claims)
	completions := make([]store.Completion, len(claims))
	for i, claim := range claims {
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusHeld, Reason: reason, Message: "closed"}
	}
	_, err := s.store.Complete(s.t.Context(), "w", completions)
	require.NoError(s.t, err)
}

func TestAResumeWithAReasonStartsWhatWaitsForTheTime(t *testing.T) {
	t.Parallel()
	for _, reason := range []v1alpha1.Reason{v1alpha1.ReasonWindow, v1alpha1.ReasonFreeze} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web"))
			s.built("b1")
			s.heldBy(reason)
			require.Equal(t, "stage DEPLOY of run 1 in CdPipeline web waits for "+string(reason)+": to let it start all the same, say why in spec.reason of a new RunRequest",
				s.refused(resumes("r1", given.OfRun(1))))
			require.Equal(t, []string{"DEPLOY Held/" + string(reason)}, s.stages(1))
			s.done(resumes("r2", given.OfRun(1), given.By("jane"), given.BecauseOf("the shop is down")))
			require.Equal(t, []string{"DEPLOY Pending"}, s.stages(1))
			claims := s.claim()
			require.Len(t, claims, 1)
			require.True(t, claims[0].Inputs.Resumed)
			require.Equal(t, []string{"jane"}, s.table(`SELECT resumed_by FROM cd_workflow_runner`))
			require.Equal(t, []string{"stage DEPLOY of run 1 was resumed (the shop is down)"},
				s.table(`SELECT message FROM event WHERE kind = 'Request' AND state = 'Done'`))
		})
	}
}

// An approval says nothing of the time: whoever approves in the evening may mean tomorrow.
func TestAnApprovalDoesNotOpenAWindow(t *testing.T) {
	t.Parallel()
	s := heldAtDeploy(t, 1)
	s.done(resumes("r1", given.OfRun(1)))
	claims := s.claim()
	require.Len(t, claims, 1)
	require.False(t, claims[0].Inputs.Resumed)
}
