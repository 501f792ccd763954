package request

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// actions are requests of every kind, each on a scene where it can be done once.
var actions = map[string]struct {
	prepare func(*testing.T) *scene
	request *v1alpha1.RunRequest
}{
	"Trigger": {func(t *testing.T) *scene {
		t.Helper()
		s := newScene(t, given.CdPipeline("web", given.Manual))
		s.built("b1")
		return s
	}, triggers("r1", "b1")},
	"Retry": {func(t *testing.T) *scene {
		t.Helper()
		return failedAtDeploy(t)
	}, retries("r1", given.OfBuild("b1"))},
	"Resume": {func(t *testing.T) *scene {
		t.Helper()
		return heldAtDeploy(t, 2)
	}, resumes("r1", given.OfBuild("b1"))},
	"Cancel": {func(t *testing.T) *scene {
		t.Helper()
		s := heldAtDeploy(t, 2)
		s.submitAnother()
		return s
	}, cancels("r1", given.OfBuild("b1"))},
	"Rollback": {func(t *testing.T) *scene {
		t.Helper()
		return deployedThrice(t)
	}, rollsBack("r1")},
	"what is refused": {func(t *testing.T) *scene {
		t.Helper()
		return newScene(t, given.CdPipeline("web"))
	}, triggers("r1", "nothing")},
}

// submitAnother lets one of two runs go on, and brings it to Submitted.
func (s *scene) submitAnother() {
	s.t.Helper()
	s.done(resumes("r0", given.OfRun(1)))
	s.submit()
}

// several are controllers with a store of its own each, before one database.
func (s *scene) several(n int) []*Controller {
	s.t.Helper()
	controllers := make([]*Controller, n)
	for i := range controllers {
		config := s.Config
		config.Rows, config.Events, config.OnCommit = s.openStore(), events.NewFakeRecorder(100), func() {}
		controllers[i] = New(config)
	}
	return controllers
}

func TestARequestThatSeveralCarryOutAtOnceIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	for action, tc := range actions {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			s := tc.prepare(t)
			once := s.twin(tc)
			request := tc.request.DeepCopy()
			require.NoError(t, s.cluster.Create(t.Context(), request))
			var group sync.WaitGroup
			for _, controller := range s.several(6) {
				group.Go(func() {
					for range 3 {
						if _, err := controller.Reconcile(t.Context(), reconcile.Request{NamespacedName: key("r1")}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			status := s.answered("r1")
			require.Equal(t, once.status("r1").Message, status.Message)
			require.Equal(t, once.status("r1").Run, status.Run)
			require.Equal(t, once.outline(), s.outline())
		})
	}
}

// twin is the same scene after the request was carried out by one controller.
func (s *scene) twin(tc struct {
	prepare func(*testing.T) *scene
	request *v1alpha1.RunRequest
}) *scene {
	s.t.Helper()
	other := tc.prepare(s.t)
	other.ask(tc.request.DeepCopy())
	return other
}

// outline is what the tables hold, but for times.
func (s *scene) outline() []string {
	s.t.Helper()
	lines := s.table(`SELECT identity || status || reason || message || stop_reason || stop_message FROM task ORDER BY 1`)
	lines = append(lines, s.table(`SELECT concat_ws(' ', pipeline, run, outcome, descends, actor) FROM cd_workflow ORDER BY 1`)...)
	lines = append(lines, s.table(`SELECT concat_ws(' ', request, asked, state) FROM turn ORDER BY 1`)...)
	lines = append(lines, s.table(`SELECT concat_ws(' ', kind, state, reason, message, actor) FROM event ORDER BY 1`)...)
	lines = append(lines, s.table(`SELECT concat_ws(' ', name, action, phase, run_id, message) FROM run_request ORDER BY 1`)...)
	return append(lines, s.table(`SELECT concat_ws(' ', pipeline, build_name, outcome, reason, message) FROM trigger_decision ORDER BY 1`)...)
}

// GitOps deletes what it has applied, and applies it again.
func TestARequestThatIsCreatedAgainHasTheSameAnswerAndIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	for action, tc := range actions {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			s := tc.prepare(t)
			first := s.ask(tc.request.DeepCopy())
			s.endAll(store.StatusSucceeded)
			before := s.outline()
			require.NoError(t, s.cluster.Delete(t.Context(), tc.request.DeepCopy()))
			require.Equal(t, first, s.ask(tc.request.DeepCopy()))
			require.Equal(t, before, s.outline())
		})
	}
}

// What was refused stays refused, also where it would be carried out by now: whoever
// applies a file again must not be surprised.
func TestARefusedRequestThatIsCreatedAgainIsStillRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual))
	why := s.refused(triggers("r1", "b1"))
	s.built("b1")
	require.NoError(t, s.cluster.Delete(t.Context(), triggers("r1", "b1")))
	require.Equal(t, why, s.refused(triggers("r1", "b1")))
	s.done(triggers("r2", "b1"))
}

func TestWhatMakesTwoRequestsDifferent(t *testing.T) {
	t.Parallel()
	for sentence, other := range map[string]*v1alpha1.RunRequest{
		"another name":   triggers("r2", "b1"),
		"another reason": triggers("r1", "b1", given.BecauseOf("it must be today")),
		"another person": triggers("r1", "b1", given.By("joe")),
		"another build":  triggers("r1", "b2"),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.Manual))
			s.built("b1")
			s.built("b2")
			s.done(triggers("r1", "b1"))
			s.endAll(store.StatusSucceeded)
			require.NoError(t, s.cluster.Delete(t.Context(), triggers("r1", "b1")))
			status := s.done(other)
			require.EqualValues(t, 2, status.Run)
			require.Len(t, s.recorded(), 2)
		})
	}
}

func TestARequestInAnotherNamespaceIsAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual))
	s.built("b1")
	s.done(triggers("r1", "b1"))
	elsewhere := triggers("r1", "b1")
	elsewhere.Namespace = "elsewhere"
	require.NoError(t, s.cluster.Create(t.Context(), elsewhere))
	_, err := s.Reconcile(t.Context(), reconcile.Request{NamespacedName: clientKey(elsewhere)})
	require.NoError(t, err)
	require.Equal(t, []string{"r1 Trigger Done", "r1 Trigger Refused"}, s.table("SELECT name || ' ' || action || ' ' || phase FROM run_request ORDER BY at"))
}

// Two people ask for the same at once.
func TestOfTwoRequestsForOneBuildAtOnceOneIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual))
	s.built("b1")
	controllers := s.several(8)
	var group sync.WaitGroup
	for i, controller := range controllers {
		require.NoError(t, s.cluster.Create(t.Context(), triggers(fmt.Sprintf("r%d", i), "b1")))
		group.Go(func() {
			if _, err := controller.Reconcile(t.Context(), reconcile.Request{NamespacedName: key(fmt.Sprintf("r%d", i))}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.Equal(t, []string{"Done 1", "Refused 7"}, s.table(`SELECT phase || ' ' || count(*) FROM run_request GROUP BY phase ORDER BY 1`))
	require.Equal(t, []string{"b1 #1 goes on"}, s.runs("web"))
}

// forgetful is rows whose reply is lost after they were committed.
type forgetful struct {
	Rows
	lost *int
}

func (f forgetful) lose(answer store.Answer, err error) (store.Answer, error) {
	if *f.lost++; *f.lost == 1 && err == nil {
		return store.Answer{}, context.DeadlineExceeded
	}
	return answer, err
}

func (f forgetful) Refuse(ctx context.Context, request store.Request, message string) (store.Answer, error) {
	return f.lose(f.Rows.Refuse(ctx, request, message))
}

func (f forgetful) StartRuns(ctx context.Context, request store.Request, starting store.Starting) (store.Answer, error) {
	return f.lose(f.Rows.StartRuns(ctx, request, starting))
}

func (f forgetful) CancelRuns(ctx context.Context, request store.Request, run int64) (store.Answer, error) {
	return f.lose(f.Rows.CancelRuns(ctx, request, run))
}

func (f forgetful) ResumeStages(ctx context.Context, request store.Request, run int64, stage trigger.Stage, holdOf func(store.Held) trigger.Hold) (store.Answer, error) {
	return f.lose(f.Rows.ResumeStages(ctx, request, run, stage, holdOf))
}

func TestARequestWhoseReplyWasLostIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	for action, tc := range actions {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			s := tc.prepare(t)
			lost := 0
			s.Rows = forgetful{s.store, &lost}
			require.NoError(t, s.cluster.Create(t.Context(), tc.request.DeepCopy()))
			_, err := s.look("r1")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Empty(t, s.status("r1").Phase)
			before := s.outline()
			status := s.answered("r1")
			require.Equal(t, before, s.outline())
			require.Equal(t, []string{string(status.Phase) + " " + status.Message}, s.table(`SELECT phase || ' ' || message FROM run_request WHERE name = 'r1'`))
		})
	}
}
