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

// withoutTemplate has a worker find, of everything in the queue, that its template does not
// exist, and returns what has moved.
func (s *scene) withoutTemplate() []store.Moved {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, claims)
	completions := make([]store.Completion, len(claims))
	for i, claim := range claims {
		hold, err := argo.TemplateHold(s.t.Context(), s.cluster, "", claim.Namespace, v1alpha1.TemplateReference{Name: given.Template})
		require.NoError(s.t, err)
		require.Equal(s.t, v1alpha1.ReasonTemplate, hold.Reason)
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusHeld, Reason: hold.Reason, Message: hold.Message}
	}
	moved, err := s.store.Complete(s.t.Context(), "w", completions)
	require.NoError(s.t, err)
	return moved
}

func (s *scene) createTemplate() {
	s.t.Helper()
	template := given.WorkflowTemplate(given.Template, time.Second)
	require.NoError(s.t, s.cluster.Create(s.t.Context(), template))
	s.templates.Add(&metav1.PartialObjectMetadata{ObjectMeta: template.ObjectMeta})
}

// age makes everything that is held be held for longer.
func (s *scene) age(by time.Duration) {
	s.t.Helper()
	_, err := s.store.Pool().Exec(s.t.Context(), `UPDATE task SET changed_at = changed_at - $1::interval WHERE status = 'Held'`, by)
	require.NoError(s.t, err)
}

func TestAStageWithoutItsTemplateGoesOnWhenThatAppears(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	stop := s.start()
	defer stop()
	s.Moved(s.withoutTemplate())
	s.eventuallyStages("web b1 DEPLOY Held/Template")
	require.Eventually(t, func() bool { return s.turns()[0] == "web b1 Yielded" }, patience, 10*time.Millisecond)
	require.Equal(t, []string{"WorkflowTemplate deploy does not exist: create it, or correct workflow.templateRef, and the stage goes on"},
		s.table(`SELECT message FROM event WHERE state = 'Held'`))
	s.createTemplate()
	s.eventuallyStages("web b1 DEPLOY Pending")
	require.Equal(t, []string{"web b1 Active"}, s.turns())
}

// The controller was away when the template came, or before the turn was yielded.
func TestAHolderFindsAtItsStartWhatWaitsForATemplate(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.withoutTemplate()
	require.Equal(t, []string{"web b1 Active"}, s.turns())
	s.look()
	require.Equal(t, []string{"web b1 Yielded"}, s.turns())
	s.createTemplate()
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending"}, s.stages())
}

func TestANewerBuildOvertakesOneThatWaitsForATemplate(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.built("b2")
	s.Moved(s.withoutTemplate())
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Superseded/Superseded", "web b2 DEPLOY Pending"}, s.stages())
	s.Moved(s.withoutTemplate())
	s.look()
	s.createTemplate()
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Superseded/Superseded", "web b2 DEPLOY Pending"}, s.stages())
}

func TestATemplateThatNeverComesEndsTheWait(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		waited time.Duration
		change func(*v1alpha1.CdPipeline)
		exists bool
		want   string
	}{
		"it is waited for":                            {waited: 50 * time.Second, want: "Held/Template"},
		"then the stage ends":                         {waited: 2 * time.Minute, want: "Error/TemplateNotFound"},
		"one that came late is in time if it is seen": {waited: 2 * time.Minute, exists: true, want: "Pending"},
		"another template may be named": {
			waited: 2 * time.Minute, want: "Pending",
			change: func(web *v1alpha1.CdPipeline) {
				web.Spec.Deploy.Workflow.TemplateRef = v1alpha1.TemplateReference{Name: "other", ClusterScope: true}
			},
		},
		"a suspension goes before it": {waited: 2 * time.Minute, change: given.Suspended, want: "Cancelled/Suspended"},
		"a hold goes before it":       {waited: 2 * time.Minute, change: given.Held, want: "Held/Hold"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web"), clusterTemplate("other"))
			s.built("b1")
			s.Moved(s.withoutTemplate())
			s.look()
			s.age(tc.waited)
			if tc.exists {
				s.createTemplate()
			}
			if tc.change != nil {
				s.update("web", tc.change)
			}
			s.look()
			require.Equal(t, []string{"web b1 DEPLOY " + tc.want}, s.stages())
		})
	}
}

func TestWhatEndsWithoutItsTemplateTellsWhatToDo(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	s.withoutTemplate()
	s.age(2 * time.Minute)
	s.look()
	require.Equal(t, []string{"Error: WorkflowTemplate deploy did not appear within 1m0s (TEMPLATE_WAIT): create it, or correct workflow.templateRef, " +
		"and then create a RunRequest with action Retry"}, s.table(`SELECT state || ': ' || message FROM event WHERE reason = 'TemplateNotFound'`))
	require.Positive(t, s.woken.Load(), "nobody follows its end")
}

func TestOneWaitForATemplateEndsByItself(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.TemplateWait = 1500 * time.Millisecond
	s.built("b1")
	s.withoutTemplate()
	stop := s.start()
	defer stop()
	s.eventuallyStages("web b1 DEPLOY Error/TemplateNotFound")
}

// What is to be stopped is not held, or nobody would stop it.
func TestAStageThatIsToBeStoppedDoesNotWaitForItsTemplate(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web"))
	s.built("b1")
	claims, err := s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Hour)
	require.NoError(t, err)
	request := store.Request{Namespace: given.Namespace, Name: "r1", Action: v1alpha1.ActionCancel, BuildName: "b1", Pipeline: store.PipelineRef{
		UID: string(given.UID("web")), Namespace: given.Namespace, Name: "web",
	}}
	_, err = s.store.CancelRuns(t.Context(), request, 0)
	require.NoError(t, err)
	_, err = s.store.Complete(t.Context(), "w", []store.Completion{{
		ID: claims[0].ID, Attempt: 1, Status: store.StatusHeld, Reason: v1alpha1.ReasonTemplate, Message: "m",
	}})
	require.NoError(t, err)
	require.Equal(t, []string{"web b1 DEPLOY Pending"}, s.stages())
	claims, err = s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Hour)
	require.NoError(t, err)
	require.Equal(t, v1alpha1.ReasonCancelled, claims[0].StopReason)
	require.Equal(t, trigger.StageDeploy, claims[0].Inputs.Stage)
}
