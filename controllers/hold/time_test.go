package hold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// closed has windows that let nothing start.
func closed(pipeline *v1alpha1.CdPipeline) {
	pipeline.Spec.Windows = []v1alpha1.Window{{Kind: v1alpha1.WindowDeny, Schedule: "* * * * *", Duration: metav1.Duration{Duration: time.Hour}}}
}

// open has no windows any more.
func open(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Windows = nil }

// submit has a worker take all of the queue, and returns what has moved. What may start is
// created.
func (s *scene) submit() []store.Moved {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(s.t, err)
	completions := make([]store.Completion, len(claims))
	for i, claim := range claims {
		_, err := argo.Stages{Freeze: s.Freeze}.Build(s.t.Context(), s.cluster, claim)
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted}
		if err != nil {
			var refusal *argo.Refusal
			require.ErrorAs(s.t, err, &refusal)
			completions[i].Status, completions[i].Reason, completions[i].Message = refusal.Status, refusal.Reason, refusal.Message
		}
	}
	moved, err := s.store.Complete(s.t.Context(), "w", completions)
	require.NoError(s.t, err)
	s.Moved(moved)
	return moved
}

func TestAStageWaitsForItsWindow(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", closed), given.WorkflowTemplate(given.Template, time.Second))
	s.built("b1")
	s.submit()
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Held/Window"}, s.stages())
	require.Equal(t, []string{"web b1 Yielded"}, s.turns())
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Held/Window"}, s.stages())
	s.change("web", open)
	s.look()
	s.submit()
	require.Equal(t, []string{"web b1 DEPLOY Submitted"}, s.stages())
}

func TestAStageStartsWhenItsWindowOpens(t *testing.T) {
	t.Parallel()
	opens := time.Now().UTC().Add(time.Minute).Truncate(time.Minute)
	s := newScene(t, given.CdPipeline("web", func(pipeline *v1alpha1.CdPipeline) {
		closed(pipeline)
		pipeline.Spec.Windows[0].Schedule = opens.Add(-time.Hour).Format("4 15 2 1 *")
	}))
	s.built("b1")
	s.submit()
	s.look()
	waiting, err := s.store.WaitingPipelines(t.Context())
	require.NoError(t, err)
	now := time.Now()
	require.WithinDuration(t, opens, now.Add(s.untilOpen(t.Context(), waiting, now)), time.Second)
	require.False(t, s.timeHas(s.pipeline("web"), waiting[0]))
}

func TestANewerBuildOvertakesOneThatWaitsForAWindow(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", closed))
	for _, build := range []string{"b1", "b2", "b3"} {
		s.built(build)
		s.submit()
		s.look()
	}
	require.Equal(t, []string{"web b1 DEPLOY Superseded/Superseded", "web b2 DEPLOY Superseded/Superseded", "web b3 DEPLOY Held/Window"}, s.stages())
}

func TestAFreezeHoldsWhatComesUntilItIsOver(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"), given.CdPipeline("api"), given.WorkflowTemplate(given.Template, time.Second))
	stop := s.start()
	defer stop()
	s.isFrozen(trigger.Freeze{Reason: "audit"})
	s.built("b1")
	s.submit()
	s.eventuallyStages("api b1 DEPLOY Held/Freeze", "web b1 DEPLOY Held/Freeze")
	s.isFrozen(trigger.Freeze{Reason: "audit", Until: time.Now().Add(time.Hour)})
	require.Eventually(t, func() bool {
		return len(s.table(`SELECT message FROM task WHERE message LIKE 'deployments are frozen until %: audit; wait, or create a RunRequest with action Resume'`)) == 2
	}, patience, 10*time.Millisecond, "what they say is mended")
	s.isFrozen(trigger.Freeze{Reason: "audit", Until: time.Now().Add(time.Second)})
	s.eventuallyStages("api b1 DEPLOY Pending", "web b1 DEPLOY Pending")
}

func TestAHoldGoesBeforeWindowsAndASuspensionBeforeBoth(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", closed))
	s.built("b1")
	s.submit()
	s.change("web", given.Held)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
	s.change("web", given.Suspended)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Cancelled/Suspended"}, s.stages())
}
