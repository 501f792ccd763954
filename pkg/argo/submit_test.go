package argo

import (
	"context"
	"errors"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// world is an API server in memory, and a cache that sees what it is given.
type world struct {
	Submitter
	server client.WithWatch
}

// newWorld has the objects both at the server and in the cache.
func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{server: newServer(t, objects...)}
	w.Builders = Builders{store.KindCd: Stages{}}
	w.Cache = newServer(t, objects...)
	w.Live = w.server
	return w
}

// submit tells only whether the claim's Workflow exists.
func (w *world) submit(t *testing.T, claim store.Claim) error {
	t.Helper()
	made, err := w.Submit(t.Context(), claim)
	if err != nil {
		require.Zero(t, made, "a Workflow is told of that may not exist")
	}
	return err
}

func newServer(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	require.NoError(t, wfv1.AddToScheme(scheme))
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).Build()
	// What is created has a UID, as at a real API server.
	return interceptor.NewClient(server, interceptor.Funcs{
		Create: func(ctx context.Context, server client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			object.SetUID(given.UID(object.GetName()))
			return server.Create(ctx, object, opts...)
		},
	})
}

// failing makes requests to the server end otherwise than they do.
func (w *world) failing(faults interceptor.Funcs) *world {
	w.Live = interceptor.NewClient(w.server, faults)
	return w
}

// blind empties the cache: it lags behind everything.
func (w *world) blind(t *testing.T) *world {
	t.Helper()
	w.Cache = newServer(t)
	return w
}

func (w *world) workflows(t *testing.T) []wfv1.Workflow {
	t.Helper()
	var list wfv1.WorkflowList
	require.NoError(t, w.server.List(t.Context(), &list))
	return list.Items
}

func template() *wfv1.WorkflowTemplate {
	return &wfv1.WorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: given.Namespace, Name: given.Template}}
}

func clusterTemplate() *wfv1.ClusterWorkflowTemplate {
	return &wfv1.ClusterWorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Name: given.Template}}
}

func TestSubmitCreatesTheWorkflowOnce(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template())
	for range 3 {
		require.NoError(t, w.submit(t, claimOf(pipeline)))
	}
	workflows := w.workflows(t)
	require.Len(t, workflows, 1)
	require.True(t, isOurs(&workflows[0], claimOf(pipeline)))
}

func TestSubmitTellsWhichWorkflowThereIs(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template())
	claim := claimOf(pipeline)
	for _, how := range []string{"created", "adopted", "adopted again"} {
		made, err := w.Submit(t.Context(), claim)
		require.NoError(t, err, how)
		require.Equal(t, Made{UID: string(given.UID(claim.WorkflowName))}, made, how)
	}
}

func TestACreateWhoseAnswerIsLostIsAdoptedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template()).failing(interceptor.Funcs{
		Create: func(ctx context.Context, server client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			if err := server.Create(ctx, object, opts...); err != nil {
				return err
			}
			return context.DeadlineExceeded
		},
	})
	err := w.submit(t, claimOf(pipeline))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireNoRefusal(t, err)
	retried := claimOf(pipeline)
	retried.Attempt = 2
	require.NoError(t, w.submit(t, retried))
	require.Len(t, w.workflows(t), 1)
}

func TestACreateThatIsRefusedAfterOneWhoseAnswerWasLostRefusesNothing(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	retried := claimOf(pipeline)
	retried.Attempt = 2
	refusing := interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		return apierrors.NewBadRequest("the schema has changed")
	}}
	made := newWorld(t, pipeline, template())
	require.NoError(t, made.submit(t, claimOf(pipeline)), "nobody hears of it")
	require.NoError(t, made.failing(refusing).submit(t, retried))

	never := newWorld(t, pipeline, template()).failing(refusing)
	requireRefusal(t, never.submit(t, retried), store.StatusError, v1alpha1.ReasonWorkflowInvalid, "the schema has changed")
}

func TestARowThatIsClaimedUnderANewIdAdoptsTheWorkflowOfItsIdentity(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template())
	require.NoError(t, w.submit(t, claimOf(pipeline)))
	again := claimOf(pipeline)
	again.ID = 4711
	require.NoError(t, w.submit(t, again))
	require.Len(t, w.workflows(t), 1)
}

func TestAForeignWorkflowOfTheNameIsLeftAlone(t *testing.T) {
	t.Parallel()
	for sentence, labels := range map[string]map[string]string{
		"one without any of our labels": {"team": "blue"},
		"one that says it is ours":      {v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTask: "42"},
		"one with another identity":     {v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelIdentity: "other"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web")
			claim := claimOf(pipeline)
			foreign := &wfv1.Workflow{
				ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.WorkflowName, UID: "theirs", Labels: labels},
				Spec:       wfv1.WorkflowSpec{Entrypoint: "theirs"},
			}
			w := newWorld(t, pipeline, template(), foreign)
			before := w.workflows(t)
			requireRefusal(t, w.submit(t, claim), store.StatusError, v1alpha1.ReasonNameConflict,
				"a Workflow named "+claim.WorkflowName+" exists and is not Penstock's: find out who made it, then create a RunRequest with action Retry, which uses another name")
			require.Equal(t, before, w.workflows(t))
		})
	}
}

func TestEachAttemptOfAStageHasAWorkflowOfItsOwn(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template())
	second := claimOf(pipeline)
	identity := trigger.Identity{BuildUID: "b1", PipelineUID: string(pipeline.UID), Run: 1, Stage: trigger.StageDeploy, Attempt: 2}
	second.ID, second.Identity, second.WorkflowName = 43, identity.Hash(), trigger.WorkflowName(pipeline.Name, identity)
	require.NoError(t, w.submit(t, claimOf(pipeline)))
	require.NoError(t, w.submit(t, second))
	require.Len(t, w.workflows(t), 2)
}

func TestSubmitRefusesWhatCanNeverBe(t *testing.T) {
	t.Parallel()
	web := given.CdPipeline("web")
	remade := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.UID = given.UID("a later one") })
	leaving := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: metav1.Now().Rfc3339Copy().Time}, []string{"example.com/wait"}
	})
	for sentence, tc := range map[string]struct {
		objects []client.Object
		change  func(*store.Claim)
		status  store.Status
		reason  v1alpha1.Reason
		message string
	}{
		"a pipeline that was deleted": {
			[]client.Object{template()}, nil, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted,
			"CdPipeline web was deleted before its turn came",
		},
		"a pipeline that was made anew with the same name": {
			[]client.Object{remade, template()}, nil, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "was deleted",
		},
		"a pipeline that is being deleted": {
			[]client.Object{leaving, template()}, nil, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "was deleted",
		},
		"a pipeline that was suspended meanwhile": {
			[]client.Object{given.CdPipeline("web", given.Suspended), template()}, nil,
			store.StatusCancelled, v1alpha1.ReasonSuspended, "CdPipeline web was suspended before its turn came",
		},
		"a stage that was removed meanwhile": {
			[]client.Object{web, template()}, func(c *store.Claim) { c.Inputs.Stage = trigger.StagePost },
			store.StatusCancelled, v1alpha1.ReasonStageRemoved, "CdPipeline web has no stage POST any more",
		},
		"a template that does not exist": {
			[]client.Object{web}, nil, store.StatusHeld, v1alpha1.ReasonTemplate,
			"WorkflowTemplate deploy does not exist: create it, or correct workflow.templateRef",
		},
		"a template that exists for the cluster alone": {
			[]client.Object{web, clusterTemplate()}, nil, store.StatusHeld, v1alpha1.ReasonTemplate,
			"WorkflowTemplate deploy does not exist",
		},
		"a cluster template that exists in the namespace alone": {
			[]client.Object{given.CdPipeline("web", clusterScoped), template()}, nil,
			store.StatusHeld, v1alpha1.ReasonTemplate, "ClusterWorkflowTemplate deploy does not exist",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			claim := claimOf(web)
			if tc.change != nil {
				tc.change(&claim)
			}
			w := newWorld(t, tc.objects...)
			requireRefusal(t, w.submit(t, claim), tc.status, tc.reason, tc.message)
			require.Empty(t, w.workflows(t))
		})
	}
}

func TestACacheThatLagsNeverRefusesARow(t *testing.T) {
	t.Parallel()
	for sentence, pipeline := range map[string]*v1alpha1.CdPipeline{
		"the pipeline and its template are asked for":         given.CdPipeline("web"),
		"the pipeline and its cluster template are asked for": given.CdPipeline("web", clusterScoped),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pipeline, template(), clusterTemplate()).blind(t)
			require.NoError(t, w.submit(t, claimOf(pipeline)))
			require.Len(t, w.workflows(t), 1)
		})
	}
	t.Run("a pipeline that the cache has under a former UID is asked for", func(t *testing.T) {
		t.Parallel()
		pipeline := given.CdPipeline("web")
		w := newWorld(t, pipeline, template())
		w.Cache = newServer(t, given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.UID = given.UID("former") }))
		require.NoError(t, w.submit(t, claimOf(pipeline)))
		require.Len(t, w.workflows(t), 1)
	})
}

func TestOneRequestSubmitsARowThatTheCacheKnowsAllOf(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	requests := 0
	w := newWorld(t, pipeline, template()).failing(interceptor.Funcs{
		Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			requests++
			return server.Get(ctx, key, object, opts...)
		},
		Create: func(ctx context.Context, server client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			requests++
			return server.Create(ctx, object, opts...)
		},
	})
	require.NoError(t, w.submit(t, claimOf(pipeline)))
	require.Equal(t, 1, requests)
}

func TestARequestThatFailsMayPass(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	get := func(kind string) interceptor.Funcs {
		return interceptor.Funcs{Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if named(object) == kind {
				return down
			}
			return server.Get(ctx, key, object, opts...)
		}}
	}
	create := func(err error) interceptor.Funcs {
		return interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return err }}
	}
	exists := get("Workflow")
	exists.Create = create(apierrors.NewAlreadyExists(wfv1.Resource("workflows"), "web")).Create
	for sentence, tc := range map[string]struct {
		faults  interceptor.Funcs
		message string
	}{
		"reading the pipeline":          {get("CdPipeline"), "get CdPipeline: connection refused"},
		"reading the template":          {get("WorkflowTemplate"), "get WorkflowTemplate: connection refused"},
		"reading the Workflow to adopt": {exists, "get existing workflow: connection refused"},
		"creating":                      {create(down), "create workflow: connection refused"},
		"creating, by the server's own word": {
			create(apierrors.NewTooManyRequests("slow down", 1)), "create workflow: slow down",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web")
			w := newWorld(t, pipeline, template()).blind(t).failing(tc.faults)
			err := w.submit(t, claimOf(pipeline))
			require.ErrorContains(t, err, tc.message)
			requireNoRefusal(t, err)
			require.Empty(t, w.workflows(t))
		})
	}
}

func TestEveryRequestHasItsDeadline(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template()).blind(t).failing(interceptor.Funcs{
		Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			requireDeadline(ctx, t)
			return server.Get(ctx, key, object, opts...)
		},
		Create: func(ctx context.Context, server client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			requireDeadline(ctx, t)
			return server.Create(ctx, object, opts...)
		},
	})
	require.NoError(t, w.submit(t, claimOf(pipeline)))
	require.NoError(t, w.submit(t, claimOf(pipeline)))
}

// named is the kind of what is asked for.
func named(object client.Object) string {
	switch object.(type) {
	case *v1alpha1.CdPipeline:
		return "CdPipeline"
	case *wfv1.Workflow:
		return "Workflow"
	default:
		return object.GetObjectKind().GroupVersionKind().Kind
	}
}

func requireDeadline(ctx context.Context, t *testing.T) {
	t.Helper()
	_, has := ctx.Deadline()
	require.True(t, has)
}

func requireRefusal(t *testing.T, err error, status store.Status, reason v1alpha1.Reason, message string) {
	t.Helper()
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, status, refusal.Status)
	require.Equal(t, reason, refusal.Reason)
	require.Contains(t, refusal.Message, message)
}

func requireNoRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *Refusal
	require.NotErrorAs(t, err, &refusal, "the failure may pass")
}

// outdated has the cache show the pipeline as it was.
func (w *world) outdated(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w.Cache = newServer(t, objects...)
	return w
}

func TestWhatAnOutdatedCacheSaysAgainstARowIsDoubted(t *testing.T) {
	t.Parallel()
	now := given.CdPipeline("web")
	for sentence, was := range map[string]*v1alpha1.CdPipeline{
		"that it was suspended":           given.CdPipeline("web", given.Suspended),
		"that its template was another":   given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Workflow.TemplateRef.Name = "gone" }),
		"that it was one of another time": given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.UID = "before" }),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, now, template()).outdated(t, was, template())
			require.NoError(t, w.submit(t, claimOf(now)))
			require.Len(t, w.workflows(t), 1)
		})
	}
	t.Run("that it had no such stage", func(t *testing.T) {
		t.Parallel()
		staged := given.CdPipeline("web", given.WithPre)
		claim := claimOf(staged)
		claim.Inputs.Stage = trigger.StagePre
		w := newWorld(t, staged, template()).outdated(t, now, template())
		require.NoError(t, w.submit(t, claim))
		require.Len(t, w.workflows(t), 1)
	})
}

func TestARetryFindsWhatAnEarlierAttemptMadeBeforeItRefuses(t *testing.T) {
	t.Parallel()
	asleep := given.CdPipeline("web", given.Suspended)
	w := newWorld(t, given.CdPipeline("web"), template())
	require.NoError(t, w.submit(t, claimOf(asleep)))
	known := &v1alpha1.CdPipeline{}
	require.NoError(t, w.server.Get(t.Context(), client.ObjectKeyFromObject(asleep), known))
	known.Spec.Suspend = true
	require.NoError(t, w.server.Update(t.Context(), known))
	w.outdated(t, asleep, template())

	first, second := claimOf(asleep), claimOf(asleep)
	second.Attempt = 2
	require.NoError(t, w.submit(t, second), "its Workflow runs")
	require.NoError(t, w.server.Delete(t.Context(), &w.workflows(t)[0]))
	requireRefusal(t, w.submit(t, first), store.StatusCancelled, v1alpha1.ReasonSuspended,
		"CdPipeline web was suspended before its turn came")
}

func TestATaskThatIsToBeStoppedEndsUnlessItsWorkflowWasMade(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	claim := claimOf(pipeline)
	claim.StopReason = v1alpha1.ReasonReplaced
	retried := claim
	retried.Attempt = 2
	refuse := func(t *testing.T, w *world, claim store.Claim) {
		t.Helper()
		requireRefusal(t, w.submit(t, claim), store.StatusCancelled, v1alpha1.ReasonReplaced, "stopped before its turn came")
		require.Empty(t, w.workflows(t))
	}
	t.Run("a first attempt ends without a request", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipeline, template())
		w.Cache, w.Live = nil, nil
		refuse(t, w, claim)
	})
	t.Run("a further attempt ends once no Workflow is found", func(t *testing.T) {
		t.Parallel()
		refuse(t, newWorld(t, pipeline, template()), retried)
	})
	t.Run("a further attempt adopts what an earlier one has made, so that it can be stopped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pipeline, template())
		require.NoError(t, w.submit(t, claimOf(pipeline)))
		made, err := w.Submit(t.Context(), retried)
		require.NoError(t, err)
		require.Equal(t, Made{UID: string(given.UID(claim.WorkflowName))}, made)
	})
	t.Run("a further attempt is repeated where nobody knows", func(t *testing.T) {
		t.Parallel()
		down := errors.New("connection refused")
		w := newWorld(t, pipeline, template()).failing(interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return down
			},
		})
		err := w.submit(t, retried)
		require.ErrorIs(t, err, down)
		requireNoRefusal(t, err)
	})
}

// Penstock lost its rights in the namespace of another cluster, or never had them.
func TestATaskWhoseReasonIsGoneEndsThoughItsWorkflowMayNotBeLookedFor(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	forbidden := interceptor.Funcs{Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
		if named(object) == "Workflow" {
			return apierrors.NewForbidden(wfv1.Resource("workflows"), key.Name, errors.New("no right"))
		}
		return server.Get(ctx, key, object, opts...)
	}}
	further := claimOf(pipeline)
	further.Attempt = 34
	stopped := further
	stopped.StopReason = v1alpha1.ReasonReplaced

	requireRefusal(t, newWorld(t, template()).failing(forbidden).submit(t, further), store.StatusCancelled, v1alpha1.ReasonPipelineDeleted,
		"CdPipeline web was deleted before its turn came")
	requireRefusal(t, newWorld(t, pipeline, template()).failing(forbidden).submit(t, stopped), store.StatusCancelled, v1alpha1.ReasonReplaced, "stopped before its turn came")
	missing := newWorld(t, pipeline).failing(forbidden).submit(t, further)
	require.True(t, apierrors.IsForbidden(missing), "what is still wanted goes on: %v", missing)
}
