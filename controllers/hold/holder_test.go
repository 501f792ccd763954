package hold

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func released(web *v1alpha1.CdPipeline) { web.Spec.Hold = false }

func automatic(stage trigger.Stage) func(*v1alpha1.CdPipeline) {
	return func(web *v1alpha1.CdPipeline) { trigger.StageSpec(web, stage).Trigger = v1alpha1.TriggerAutomatic }
}

func policy(policy v1alpha1.ConcurrencyPolicy) func(*v1alpha1.CdPipeline) {
	return func(web *v1alpha1.CdPipeline) { web.Spec.ConcurrencyPolicy = policy }
}

func TestWhatWaitsFollowsThePipelinesSpec(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		with   func(*v1alpha1.CdPipeline)
		builds []string
		before []string
		change func(*v1alpha1.CdPipeline)
		after  []string
	}{
		"a release lets the first build go on": {
			with: given.Held, builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Held/Hold", "web b2 PRE Held/Hold"}, change: released,
			after: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"},
		},
		"a release lets only the newest go on where the policy is Latest": {
			with: func(web *v1alpha1.CdPipeline) {
				given.Held(web)
				policy(v1alpha1.ConcurrencyLatest)(web)
			}, builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Held/Hold", "web b2 PRE Held/Hold"}, change: released,
			after: []string{"web b1 PRE Superseded/Superseded", "web b2 PRE Pending"},
		},
		"a hold keeps what waits for a slot or for its turn": {
			builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"}, change: given.Held,
			after: []string{"web b1 PRE Held/Hold", "web b2 PRE Held/Hold"},
		},
		"another parent cancels what the one before has triggered": {
			builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"}, change: given.BelowCd("other"),
			after: []string{"web b1 PRE Cancelled/ParentChanged", "web b2 PRE Cancelled/ParentChanged"},
		},
		"another parent cancels what is on hold or waits for a person": {
			with: func(web *v1alpha1.CdPipeline) {
				given.Held(web)
				given.ManualStage(trigger.StagePre)(web)
			}, builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Hold"}, change: given.BelowCi("another"),
			after: []string{"web b1 PRE Cancelled/ParentChanged"},
		},
		"a hold goes before a person": {
			with: given.ManualStage(trigger.StagePre), builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Person"}, change: given.Held,
			after: []string{"web b1 PRE Held/Hold"},
		},
		"a release leaves what waits for a person": {
			with: func(web *v1alpha1.CdPipeline) {
				given.Held(web)
				given.ManualStage(trigger.StagePre)(web)
			}, builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Hold"}, change: released,
			after: []string{"web b1 PRE Held/Person"},
		},
		"a stage that is no longer Manual goes on": {
			with: given.ManualStage(trigger.StagePre), builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Person"}, change: automatic(trigger.StagePre),
			after: []string{"web b1 PRE Pending"},
		},
		"a stage that is no longer Manual goes on although a later one is": {
			with: func(web *v1alpha1.CdPipeline) {
				given.ManualStage(trigger.StagePre)(web)
				given.ManualStage(trigger.StageDeploy)(web)
			}, builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Person"}, change: automatic(trigger.StagePre),
			after: []string{"web b1 PRE Pending"},
		},
		"a suspension cancels at once what waits for a slot or its turn": {
			builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"}, change: given.Suspended,
			after: []string{"web b1 PRE Cancelled/Suspended", "web b2 PRE Cancelled/Suspended"},
		},
		"a suspension cancels what waits for a person": {
			with: given.ManualStage(trigger.StagePre), builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Person"}, change: given.Suspended,
			after: []string{"web b1 PRE Cancelled/Suspended"},
		},
		"a suspension cancels what is on hold": {
			with: given.Held, builds: []string{"b1"},
			before: []string{"web b1 PRE Held/Hold"}, change: given.Suspended,
			after: []string{"web b1 PRE Cancelled/Suspended"},
		},
		"Allow lets every build go on": {
			builds: []string{"b1", "b2", "b3"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn", "web b3 PRE Held/Turn"}, change: policy(v1alpha1.ConcurrencyAllow),
			after: []string{"web b1 PRE Pending", "web b2 PRE Pending", "web b3 PRE Pending"},
		},
		"Latest supersedes all that waits but the newest": {
			builds: []string{"b1", "b2", "b3"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn", "web b3 PRE Held/Turn"}, change: policy(v1alpha1.ConcurrencyLatest),
			after: []string{"web b1 PRE Pending", "web b2 PRE Superseded/Superseded", "web b3 PRE Held/Turn"},
		},
		"Replace ends what is active": {
			builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"}, change: policy(v1alpha1.ConcurrencyReplace),
			after: []string{"web b1 PRE Superseded/Replaced", "web b2 PRE Held/Turn"},
		},
		"another change leaves it": {
			builds: []string{"b1", "b2"},
			before: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"}, change: given.Priority(7),
			after: []string{"web b1 PRE Pending", "web b2 PRE Held/Turn"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			with := []func(*v1alpha1.CdPipeline){given.WithPre}
			if tc.with != nil {
				with = append(with, tc.with)
			}
			s := newScene(t, given.CdPipeline("web", with...), given.CdPipeline("other"))
			for _, build := range tc.builds {
				s.built(build)
			}
			other := s.table(`SELECT t::text FROM task t WHERE owner_name = 'other' ORDER BY id`)
			web := func() []string { return s.table(stagesOf, "web") }
			require.Equal(t, tc.before, web())
			s.change("web", tc.change)
			s.look()
			require.Equal(t, tc.after, web())
			require.Positive(t, s.woken.Load())
			require.Equal(t, other, s.table(`SELECT t::text FROM task t WHERE owner_name = 'other' ORDER BY id`))
		})
	}
}

const stagesOf = `SELECT owner_name || ' ' || (inputs->>'build') || ' ' || (inputs->>'stage') || ' ' || status || COALESCE('/' || NULLIF(reason, ''), '')
	FROM task WHERE owner_name = $1 AND reason <> 'StageBefore' ORDER BY id`

func TestWhatWaitsIsLeftAloneWhileNothingDiffers(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("held", given.Held), given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy)), given.CdPipeline("web"))
	s.built("b1")
	s.built("b2")
	s.Live = nil // which it would ask
	before := s.table(`SELECT t::text || t.xmin FROM task t UNION ALL SELECT n::text || n.xmin FROM turn n ORDER BY 1`)
	for range 3 {
		s.look()
	}
	require.Equal(t, before, s.table(`SELECT t::text || t.xmin FROM task t UNION ALL SELECT n::text || n.xmin FROM turn n ORDER BY 1`))
	require.Zero(t, s.woken.Load())
}

// A hold in the middle of a run yields the turn, and a newer build may overtake it.
func TestAHoldInTheMiddleOfARunYieldsItsTurn(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.WithPre))
	s.built("b1")
	s.end()
	s.change("web", given.Held)
	s.follow()
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
	s.look()
	require.Equal(t, []string{"web b1 Yielded"}, s.turns())
	s.built("b2")
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold", "web b2 PRE Held/Hold"}, s.stages())
	s.change("web", released)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending", "web b2 PRE Held/Turn"}, s.stages())
	require.Equal(t, []string{"web b1 Active", "web b2 Waiting"}, s.turns())
}

func TestAStageThatAPersonHasLetGoOnIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.ManualStage(trigger.StageDeploy)))
	s.built("b1")
	s.update("web", given.Held)
	web := s.pipeline("web")
	request := store.Request{Namespace: given.Namespace, Name: "r1", Action: v1alpha1.ActionResume, BuildName: "b1", Pipeline: store.PipelineRef{
		UID: string(web.UID), Namespace: web.Namespace, Name: web.Name,
	}}
	answer, err := s.store.ResumeStages(t.Context(), request, 0, "", func(held store.Held) trigger.Hold { return trigger.HoldOf(web, held.Stage, held.Resumed) })
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase, answer.Message)
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
	s.change("web", released)
	s.look()
	require.Equal(t, []string{"web b1 DEPLOY Pending"}, s.stages())
}

func TestWhatWaitsOfADeletedPipelineIsCancelled(t *testing.T) {
	t.Parallel()
	for sentence, again := range map[string]bool{"deleted": false, "deleted and created again": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.WithPre), given.CdPipeline("manual", given.ManualStage(trigger.StageDeploy)))
			s.built("b1")
			for _, name := range []string{"web", "manual"} {
				require.NoError(t, s.cluster.Delete(t.Context(), given.CdPipeline(name)))
				if again {
					anew := given.CdPipeline(name)
					anew.UID = given.UID("another " + name)
					require.NoError(t, s.cluster.Create(t.Context(), anew))
				}
			}
			s.look() // nobody has told
			require.Equal(t, []string{"manual b1 DEPLOY Cancelled/PipelineDeleted", "web b1 PRE Cancelled/PipelineDeleted"}, s.stages())
			require.Equal(t, []string{"CdPipeline manual was deleted while it waited", "CdPipeline web was deleted while it waited"},
				s.table(`SELECT message FROM event WHERE reason = 'PipelineDeleted' ORDER BY message`))
			if again {
				s.built("b2")
				s.look()
				require.Contains(t, s.stages(), "web b2 DEPLOY Pending", "the new one is another")
			}
		})
	}
}

// What is cancelled is cancelled for good.
func TestACacheThatIsBehindCancelsAndReleasesNothing(t *testing.T) {
	t.Parallel()
	notYet := apierrors.NewNotFound(schema.GroupResource{Resource: "cdpipelines"}, "web")
	for sentence, behind := range map[string]func(*v1alpha1.CdPipeline) error{
		"it does not show the pipeline":   func(*v1alpha1.CdPipeline) error { return notYet },
		"it shows another pipeline":       func(web *v1alpha1.CdPipeline) error { web.UID = "before"; return nil },
		"it shows the pipeline suspended": func(web *v1alpha1.CdPipeline) error { web.Spec.Suspend = true; return nil },
		"it shows the pipeline released":  func(web *v1alpha1.CdPipeline) error { web.Spec.Hold = false; return nil },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.Held))
			s.built("b1")
			s.Cache = interceptor.NewClient(s.cluster, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					if err := c.Get(ctx, key, object, options...); err != nil {
						return err
					}
					return behind(object.(*v1alpha1.CdPipeline))
				},
			})
			s.look()
			require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
		})
	}
}

var errDown = errors.New("etcdserver: request timed out")

// failing is an API server that fails for one pipeline.
func failing(cluster client.WithWatch, name string) client.Reader {
	return interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if key.Name == name {
				return errDown
			}
			return c.Get(ctx, key, object, options...)
		},
	})
}

func TestAPipelineThatCannotBeLookedAtKeepsNoOtherAndIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	for sentence, breaks := range map[string]func(*scene){
		"the API server fails": func(s *scene) { s.Live = failing(s.cluster, "poison") },
		"the cache fails":      func(s *scene) { s.Cache = failing(s.cluster, "poison") },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("a"), given.CdPipeline("poison"), given.CdPipeline("z"))
			for _, build := range []string{"b1", "b2", "b3"} {
				s.built(build)
			}
			whole := s.Config
			breaks(s)
			for _, name := range []string{"a", "poison", "z"} {
				s.change(name, policy(v1alpha1.ConcurrencyLatest))
			}
			for range 2 {
				_, err := s.runOnce(t.Context())
				require.ErrorIs(t, err, errDown)
				require.ErrorContains(t, err, "look at CdPipeline default/poison")
			}
			require.Equal(t, []string{"a b2 DEPLOY Superseded/Superseded", "z b2 DEPLOY Superseded/Superseded"},
				s.table(`SELECT owner_name || ' ' || (inputs->>'build') || ' ' || (inputs->>'stage') || ' ' || status || '/' || reason FROM task WHERE status = 'Superseded' ORDER BY 1`))
			s.Config = whole
			s.look()
			require.Len(t, s.table(`SELECT owner_name FROM task WHERE status = 'Superseded'`), 3)
		})
	}
}

// broken is a database that fails in one call.
type broken struct {
	Rows
	waiting, reconsider, cancel bool
}

func (b broken) WaitingPipelines(ctx context.Context) ([]store.Waiting, error) {
	if b.waiting {
		return nil, errDown
	}
	return b.Rows.WaitingPipelines(ctx)
}

func (b broken) Reconsider(ctx context.Context, pipeline store.PipelineRef, hold trigger.Hold, holdOf func(store.Held) trigger.Hold) error {
	if b.reconsider {
		return errDown
	}
	return b.Rows.Reconsider(ctx, pipeline, hold, holdOf)
}

func (b broken) CancelWaiting(ctx context.Context, pipelineUID string, reason v1alpha1.Reason, message string) ([]store.Moved, error) {
	if b.cancel {
		return nil, errDown
	}
	return b.Rows.CancelWaiting(ctx, pipelineUID, reason, message)
}

func TestWhatADatabaseThatIsDownDidNotTakeIsDoneLater(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		broken broken
		change func(*v1alpha1.CdPipeline)
		want   string
	}{
		"what waits could not be read":         {broken{waiting: true}, policy(v1alpha1.ConcurrencyLatest), "web b2 DEPLOY Superseded/Superseded"},
		"what holds could not be reconsidered": {broken{reconsider: true}, policy(v1alpha1.ConcurrencyLatest), "web b2 DEPLOY Superseded/Superseded"},
		"what waits could not be cancelled":    {broken{cancel: true}, given.Suspended, "web b2 DEPLOY Cancelled/Suspended"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web"))
			for _, build := range []string{"b1", "b2", "b3"} {
				s.built(build)
			}
			before := s.stages()
			tc.broken.Rows = s.store
			s.Rows = tc.broken
			s.change("web", tc.change)
			for range 2 {
				_, err := s.runOnce(t.Context())
				require.ErrorIs(t, err, errDown)
			}
			require.Equal(t, before, s.stages())
			s.Rows = s.store
			s.look()
			require.Contains(t, s.stages(), tc.want)
		})
	}
}

func TestAHolderFindsAtItsStartWhatChangedBeforeAndThenFollowsTheWatch(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("before", given.Held), given.CdPipeline("later", given.Held), given.CdPipeline("gone", given.Held))
	s.built("b1")
	s.update("before", released)
	require.True(t, s.NeedLeaderElection())
	stop := s.start()
	s.eventuallyStages("before b1 DEPLOY Pending", "gone b1 DEPLOY Held/Hold", "later b1 DEPLOY Held/Hold")

	old := s.pipeline("later")
	s.informer.Update(old, s.update("later", released))
	s.eventuallyStages("before b1 DEPLOY Pending", "gone b1 DEPLOY Held/Hold", "later b1 DEPLOY Pending")

	gone := s.pipeline("gone")
	require.NoError(t, s.cluster.Delete(t.Context(), gone))
	s.informer.Delete(gone)
	s.eventuallyStages("before b1 DEPLOY Pending", "gone b1 DEPLOY Cancelled/PipelineDeleted", "later b1 DEPLOY Pending")
	stop()
	require.EqualValues(t, 1, s.informer.removed.Load(), "its handler stays behind")
	require.ErrorIs(t, s.Loop.Start(t.Context()), loop.ErrStarted)
}

func TestAHolderWithoutAnInformerDoesNotStart(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	require.ErrorIs(t, New(Config{}).Watch(t.Context(), &informertest.FakeInformers{Scheme: scheme, Error: errDown}), errDown)
}

func TestOnlyChangesOfTheSpecAreNoted(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	handle := h.handler()
	web := given.CdPipeline("web")
	written, changed, another := web.DeepCopy(), web.DeepCopy(), web.DeepCopy()
	written.ResourceVersion, written.Status.ObservedGeneration = "2", 1
	changed.Generation, another.UID = 2, "another"
	for sentence, tc := range map[string]struct {
		tell func()
		want bool
	}{
		"a new pipeline has nothing that waits":   {func() { handle.OnAdd(web, false) }, false},
		"a status write is none":                  {func() { handle.OnUpdate(web, written) }, false},
		"a new generation is one":                 {func() { handle.OnUpdate(web, changed) }, true},
		"another pipeline of the same name is":    {func() { handle.OnUpdate(web, another) }, true},
		"a deletion is":                           {func() { handle.OnDelete(web) }, true},
		"a deletion that a list tells of is":      {func() { handle.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: web}) }, true},
		"a deletion of which nothing is known is": {func() { handle.OnDelete(toolscache.DeletedFinalStateUnknown{}) }, false},
	} {
		tc.tell()
		require.Equal(t, tc.want, h.take()[key("web")], sentence)
		require.Empty(t, h.take(), sentence)
	}
}

func TestAShutdownIsNoError(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Held))
	s.built("b1")
	s.update("web", released)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	require.NoError(t, s.Start(ctx), "what a shutdown interrupts is done at the next start")
	require.Equal(t, []string{"web b1 DEPLOY Held/Hold"}, s.stages())
}
