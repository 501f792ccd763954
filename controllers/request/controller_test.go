package request

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func clientKey(object client.Object) types.NamespacedName { return client.ObjectKeyFromObject(object) }

var errDown = errors.New("etcdserver: request timed out")

// manual is a scene with a build that a person may have deployed.
func manual(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, given.CdPipeline("web", given.Manual))
	s.built("b1")
	return s
}

func TestARequestThatIsGoneOrGoesIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	s := manual(t)
	going := triggers("going", "b1")
	going.Finalizers = []string{"example.com/held"}
	require.NoError(t, s.cluster.Create(t.Context(), going))
	require.NoError(t, s.cluster.Delete(t.Context(), going))
	for _, name := range []string{"gone", "going"} {
		result, err := s.look(name)
		require.NoError(t, err)
		require.Zero(t, result)
	}
	require.Empty(t, s.recorded())
	require.Zero(t, s.woken)
}

func TestAnAnsweredRequestIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := manual(t)
	s.done(triggers("r1", "b1"))
	s.Rows, s.Writer = nil, nil // which it would call
	_, err := s.look("r1")
	require.NoError(t, err)
}

// The cache does not show our own answer yet.
func TestARequestThatOnlyTheCacheTakesForUnansweredIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	s := manual(t)
	first := s.done(triggers("r1", "b1"))
	s.Cache = outdated{s.cluster, func(object client.Object) {
		if request, ok := object.(*v1alpha1.RunRequest); ok {
			request.Status, request.ResourceVersion = v1alpha1.RunRequestStatus{}, "1"
		}
	}}
	for range 3 {
		result, err := s.look("r1")
		require.NoError(t, err, "a conflict is no error")
		require.Equal(t, retryFirst, result.RequeueAfter)
	}
	require.Equal(t, first, s.status("r1"))
	require.Equal(t, []string{"r1 Trigger Done"}, s.recorded())
	require.Len(t, s.told(), 1)
}

// outdated is a cache that shows objects as they were.
type outdated struct {
	client.Reader
	before func(client.Object)
}

func (o outdated) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := o.Reader.Get(ctx, key, object, options...)
	o.before(object)
	return err
}

// While a request is carried out it is deleted, and another is created under its name: that
// one must not be given the answer of the first, or nobody would carry it out.
func TestTheAnswerOfARequestIsNotGivenToAnotherOfTheSameName(t *testing.T) {
	t.Parallel()
	s := manual(t)
	s.built("b2")
	first := triggers("r1", "b1")
	require.NoError(t, s.cluster.Create(t.Context(), first))
	require.NoError(t, s.cluster.Update(t.Context(), first)) // a version that the other does not have
	s.Rows = meddling{s.store, func() {
		require.NoError(t, s.cluster.Delete(t.Context(), triggers("r1", "b1")))
		require.NoError(t, s.cluster.Create(t.Context(), triggers("r1", "b2")))
	}}
	result, err := s.look("r1")
	require.NoError(t, err)
	require.Equal(t, retryFirst, result.RequeueAfter)
	require.Empty(t, s.status("r1").Phase)
	s.Rows = s.store
	require.Equal(t, "run 2 was made of build b2", s.answered("r1").Message)
	require.Equal(t, []string{"b1 #1 goes on", "b2 #1 goes on"}, s.runs("web"))
}

// meddling is rows that do something else beside.
type meddling struct {
	Rows
	meddle func()
}

func (m meddling) StartRuns(ctx context.Context, request store.Request, starting store.Starting) (store.Answer, error) {
	m.meddle()
	return m.Rows.StartRuns(ctx, request, starting)
}

func TestARequestThatIsDeletedMeanwhileIsNoError(t *testing.T) {
	t.Parallel()
	s := manual(t)
	require.NoError(t, s.cluster.Create(t.Context(), triggers("r1", "b1")))
	s.Rows = meddling{s.store, func() { require.NoError(t, s.cluster.Delete(t.Context(), triggers("r1", "b1"))) }}
	result, err := s.look("r1")
	require.NoError(t, err)
	require.Zero(t, result)
	require.Equal(t, []string{"r1 Trigger Done"}, s.recorded())
	require.Empty(t, s.told(), "there is nothing to tell it on")
}

func TestAnErrorIsRetriedAndRefusesNothing(t *testing.T) {
	t.Parallel()
	get := func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
		return errDown
	}
	list := func(_ context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
		return errDown
	}
	patch := func(_ context.Context, _ client.Client, _ string, _ client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
		return errDown
	}
	for sentence, tc := range map[string]struct {
		request *v1alpha1.RunRequest
		breaks  func(*scene)
		done    bool // what was asked for
		want    v1alpha1.RunRequestPhase
	}{
		"the API server, asked for the pipeline": {
			request: triggers("r1", "b1"), want: v1alpha1.RequestDone,
			breaks: func(s *scene) { s.Live = interceptor.NewClient(s.cluster, interceptor.Funcs{Get: get}) },
		},
		"the API server, asked for a build that is not known": {
			request: triggers("r1", "b9"), want: v1alpha1.RequestRefused,
			breaks: func(s *scene) { s.Live = interceptor.NewClient(s.cluster, interceptor.Funcs{List: list}) },
		},
		"the cache, asked for the parents": {
			request: given.RunRequest("r1", v1alpha1.ActionTrigger, given.OfPipeline("below"), given.OfBuild("b1")), want: v1alpha1.RequestDone,
			breaks: func(s *scene) { s.Cache = broken{s.cluster, "web"} },
		},
		"the cache, asked for the children": {
			request: triggers("r1", "b1"), want: v1alpha1.RequestDone,
			breaks: func(s *scene) { s.Cache = broken{s.cluster, "children"} },
		},
		"the status write": {
			request: triggers("r1", "b1"), want: v1alpha1.RequestDone, done: true,
			breaks: func(s *scene) {
				s.Writer = interceptor.NewClient(s.cluster, interceptor.Funcs{SubResourcePatch: patch})
			},
		},
		"the database": {
			request: triggers("r1", "b1"), want: v1alpha1.RequestDone,
			breaks: func(s *scene) { s.Rows = down{s.store} },
		},
		"the database, while it looks for a build": {
			request: triggers("r1", "b1"), want: v1alpha1.RequestDone,
			breaks: func(s *scene) { s.Rows = without{s.store} },
		},
		"the database, while it looks for runs": {
			request: retries("r1", given.OfBuild("b1")), want: v1alpha1.RequestRefused,
			breaks: func(s *scene) { s.Rows = without{s.store} },
		},
		"the database, while it looks for what is deployed": {
			request: rollsBack("r1"), want: v1alpha1.RequestRefused,
			breaks: func(s *scene) { s.Rows = without{s.store} },
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.Manual), given.CdPipeline("below", given.BelowCd("web")))
			s.built("b1")
			require.NoError(t, s.cluster.Create(t.Context(), tc.request))
			whole := s.Config
			tc.breaks(s)
			for range 2 {
				_, err := s.look("r1")
				require.ErrorIs(t, err, errDown)
			}
			require.Equal(t, tc.done, len(s.recorded()) == 1)
			require.Empty(t, s.told(), "before the status says so")
			s.Config = whole
			require.Equal(t, tc.want, s.answered("r1").Phase)
			require.Len(t, s.recorded(), 1)
			require.Len(t, s.told(), 1)
		})
	}
}

// broken is a cache that fails when it is asked for one pipeline, or for children.
type broken struct {
	client.Reader
	at string
}

func (b broken) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if key.Name == b.at {
		return errDown
	}
	return b.Reader.Get(ctx, key, object, options...)
}

func (b broken) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if b.at == "children" {
		return errDown
	}
	return b.Reader.List(ctx, list, options...)
}

// down is a database that does not answer.
type down struct{ Rows }

func (down) FindRequest(context.Context, store.Request) (*store.Answer, error) { return nil, errDown }

// without is a database that answers whether a request was carried out, and nothing else.
type without struct{ Rows }

func (without) FindBuild(context.Context, string, string) (*store.FinishedBuild, error) {
	return nil, errDown
}

func (without) Runs(context.Context, string, int64, string) ([]store.RunState, error) {
	return nil, errDown
}

func (without) DeployedBefore(context.Context, store.PipelineRef) (*store.FinishedBuild, string, error) {
	return nil, "", errDown
}

func TestAShutdownIsNoError(t *testing.T) {
	t.Parallel()
	s := manual(t)
	require.NoError(t, s.cluster.Create(t.Context(), triggers("r1", "b1")))
	ctx, cancel := context.WithCancel(t.Context())
	s.Rows = ending{s.store, cancel}
	_, err := s.Reconcile(ctx, reconcile.Request{NamespacedName: key("r1")})
	require.NoError(t, err)
	require.Empty(t, s.recorded())
	s.Rows = s.store
	require.Equal(t, v1alpha1.RequestDone, s.answered("r1").Phase)
}

// ending is rows that are called as the process ends.
type ending struct {
	Rows
	end func()
}

func (e ending) StartRuns(ctx context.Context, request store.Request, starting store.Starting) (store.Answer, error) {
	e.end()
	return e.Rows.StartRuns(ctx, request, starting)
}

// A person deploys a build by one file, as soon as it has succeeded.
func TestARequestWaitsForTheBuildsPlan(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Manual))
	s.build("b1")
	s.finish("b1", v1alpha1.BuildSucceeded, given.Artifacts(1)...)
	require.NoError(t, s.cluster.Create(t.Context(), triggers("r1", "b1")))
	for range 3 {
		result, err := s.look("r1")
		require.NoError(t, err)
		require.Equal(t, planPause, result.RequeueAfter)
	}
	require.Empty(t, s.status("r1").Phase)
	require.Empty(t, s.recorded())
	s.plan("b1")
	require.Equal(t, v1alpha1.RequestDone, s.answered("r1").Phase)
}

// What is refused is refused for good.
func TestACacheThatIsBehindRefusesNothing(t *testing.T) {
	t.Parallel()
	for sentence, behind := range map[string]func(client.Object) bool{
		"it does not show the pipeline": func(o client.Object) bool { return o.GetName() == "below" },
		"it does not show the parent":   func(o client.Object) bool { return o.GetName() == "web" },
		"it shows the parent below another": func(o client.Object) bool {
			if pipeline, ok := o.(*v1alpha1.CdPipeline); ok {
				pipeline.Spec.ParentRef.Name = "other"
			}
			return false
		},
		"it shows the pipeline suspended": func(o client.Object) bool {
			if pipeline, ok := o.(*v1alpha1.CdPipeline); ok {
				pipeline.Spec.Suspend = true
			}
			return false
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, given.CdPipeline("web", given.Manual), given.CdPipeline("below", given.BelowCd("web")))
			s.built("b1")
			s.Cache = lagging{s.cluster, behind}
			s.done(given.RunRequest("r1", v1alpha1.ActionTrigger, given.OfPipeline("below"), given.OfBuild("b1")))
		})
	}
}

// lagging is a cache that shows objects as they were, or not yet.
type lagging struct {
	client.Reader
	behind func(client.Object) (missing bool)
}

func (l lagging) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := l.Reader.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if l.behind(object) {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "cdpipelines"}, key.Name)
	}
	return nil
}

func TestAMessageFitsIntoAStatusAndAnEvent(t *testing.T) {
	t.Parallel()
	s := newScene(t, given.CdPipeline("web", given.Filter(`artifact.image == "`+strings.Repeat("x", 4000)+`"`)))
	s.built("b1")
	message := s.refused(triggers("r1", "b1"))
	require.LessOrEqual(t, len(message), maxMessage)
	require.Equal(t, []string{"Warning Refused " + clip.Note(message)}, s.told())
}

// An answer that is found again is the same to the second.
func TestTheTimeOfAnAnswerIsThatOfTheDatabase(t *testing.T) {
	t.Parallel()
	for sentence, request := range map[string]*v1alpha1.RunRequest{"done": triggers("r1", "b1"), "refused": triggers("r1", "nothing")} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := manual(t)
			require.NoError(t, s.cluster.Create(t.Context(), request))
			answer, err := s.answer(t.Context(), request)
			require.NoError(t, err)
			var at time.Time
			require.NoError(t, s.store.Pool().QueryRow(t.Context(), "SELECT at FROM run_request").Scan(&at))
			require.True(t, at.Equal(answer.At), "%s instead of %s", answer.At, at)
		})
	}
}

func TestAnActionThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	s := manual(t)
	require.Equal(t, "action Explode is not known", s.refused(given.RunRequest("r1", "Explode", given.OfPipeline("web"))))
}
