package build

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const lease = time.Minute

var errDown = errors.New("the database is away")

// rows are real ones that fail to settle while they are told to.
type rows struct {
	*store.Store
	fails   atomic.Bool
	settles atomic.Int64
}

func (r *rows) SettleBuilds(ctx context.Context, ids []int64) error {
	r.settles.Add(1)
	if r.fails.Load() {
		return errDown
	}
	return r.Store.SettleBuilds(ctx, ids)
}

// indexed finds the builds of a pipeline as the cache does by its index, at the API server.
type indexed struct{ client.Reader }

func (r indexed) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	if err := r.Reader.List(ctx, list, client.InNamespace(asked.Namespace)); err != nil {
		return err
	}
	builds := list.(*v1alpha1.CiBuildList)
	builds.Items = slices.DeleteFunc(builds.Items, func(build v1alpha1.CiBuild) bool {
		return build.Spec.PipelineRef.Name != asked.FieldSelector.Requirements()[0].Value
	})
	return nil
}

// scene is a controller and an ender before a real API server, which is their cache as well,
// and a real database.
type scene struct {
	*Ender
	controller *Controller
	t          *testing.T
	cluster    client.WithWatch
	store      *store.Store
	rows       *rows
	events     *events.FakeRecorder
	namespace  string
	// recorded are the Workflows that were let go, and commits counts what was committed.
	recorded []types.NamespacedName
	commits  int
}

// newScene has a CiPipeline shop whose builds run the template build.
func newScene(t *testing.T, with ...func(*v1alpha1.CiPipeline)) *scene {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	database := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 6}
	require.NoError(t, store.Migrate(t.Context(), database))
	opened, err := store.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(opened.Close)
	s := &scene{t: t, cluster: admin, store: opened, rows: &rows{Store: opened}, events: events.NewFakeRecorder(100), namespace: local.NewNamespace(t)}
	config := Config{
		Cache: indexed{admin}, Live: admin, Writer: admin, Rows: s.rows, Events: s.events, TemplateWait: time.Hour,
		OnCommit: func() { s.commits++ }, OnQueued: func(types.NamespacedName) {},
		Recorded: func(workflows []types.NamespacedName) { s.recorded = append(s.recorded, workflows...) }, Log: logr.Discard(),
	}
	s.Ender, s.controller = NewEnder(config), New(config)
	s.create(given.CiPipeline("shop", append([]func(*v1alpha1.CiPipeline){given.Builds("build")}, with...)...), given.WorkflowTemplate("build", time.Second))
	return s
}

func (s *scene) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		object.SetNamespace(s.namespace)
		require.NoError(s.t, s.cluster.Create(s.t.Context(), object))
	}
}

func (s *scene) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.namespace, Name: name}
}

func (s *scene) read(name string) *v1alpha1.CiBuild {
	s.t.Helper()
	build := &v1alpha1.CiBuild{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), s.key(name), build))
	return build
}

// queued creates a CiBuild and has it queued.
func (s *scene) queued(name string, with ...func(*v1alpha1.CiBuild)) {
	s.t.Helper()
	s.create(given.CiBuild(name, append([]func(*v1alpha1.CiBuild){given.BuildOf("shop"), given.OfRef("main")}, with...)...))
	s.look(name)
}

func (s *scene) look(name string) time.Duration {
	s.t.Helper()
	result, err := s.controller.Reconcile(s.t.Context(), requestOf(s.key(name)))
	require.NoError(s.t, err)
	return result.RequeueAfter
}

// outputs are global output parameters, by name and value in turn.
func outputs(pairs ...string) *wfv1.Outputs {
	made := &wfv1.Outputs{}
	for i := 0; i < len(pairs); i += 2 {
		made.Parameters = append(made.Parameters, wfv1.Parameter{Name: pairs[i], Value: wfv1.AnyStringPtr(pairs[i+1])})
	}
	return made
}

// runs creates the Workflow of the only build whose turn it is, with these outputs, and has
// its task end so.
func (s *scene) runs(status store.Status, made *wfv1.Outputs) *wfv1.Workflow {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCi}, "w", 1, lease)
	require.NoError(s.t, err)
	require.Len(s.t, claims, 1)
	workflow := &wfv1.Workflow{Status: wfv1.WorkflowStatus{Outputs: made}}
	workflow.Name = claims[0].WorkflowName
	s.create(workflow)
	moved, err := s.store.Observe(s.t.Context(), []store.Observation{{
		Namespace: s.namespace, WorkflowName: workflow.Name, WorkflowUID: string(workflow.UID), Identity: claims[0].Identity, Status: status, Reason: reasons[status], Message: "as Argo tells",
	}})
	require.NoError(s.t, err)
	require.Len(s.t, moved, 1)
	return workflow
}

var reasons = map[store.Status]v1alpha1.Reason{store.StatusFailed: v1alpha1.ReasonWorkflowFailed, store.StatusError: v1alpha1.ReasonWorkflowFailed}

// runs the ender once, and returns its error.
func (s *scene) end() error {
	_, err := s.runOnce(s.t.Context())
	return err
}

// is checks a build's phase, reason and a part of its message.
func (s *scene) is(name string, phase v1alpha1.BuildPhase, reason v1alpha1.Reason, message string) *v1alpha1.CiBuild {
	s.t.Helper()
	build := s.read(name)
	require.Equal(s.t, phase, build.Status.Phase, build.Status.Message)
	require.Equal(s.t, string(reason), build.Status.Reason)
	require.Contains(s.t, build.Status.Message, message)
	return build
}

// unsettled counts tasks that are not told of.
func (s *scene) unsettled() int {
	s.t.Helper()
	var n int
	require.NoError(s.t, s.store.Pool().QueryRow(s.t.Context(), "SELECT count(*) FROM task WHERE settled_at IS NULL AND status NOT IN ('Held', 'Pending')").Scan(&n))
	return n
}

// stale is a cache that has an object as it was.
type stale struct {
	client.Reader
	of *v1alpha1.CiBuild // nil: the cache does not know it
}

func (r stale) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	build, ok := into.(*v1alpha1.CiBuild)
	if !ok {
		return r.Reader.Get(ctx, key, into, options...)
	}
	if r.of == nil {
		return notFound(key)
	}
	r.of.DeepCopyInto(build)
	return nil
}

// withoutPipelines is a cache that knows no CiPipeline.
type withoutPipelines struct{ client.Reader }

func (r withoutPipelines) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	if _, ok := into.(*v1alpha1.CiPipeline); ok {
		return notFound(key)
	}
	return r.Reader.Get(ctx, key, into, options...)
}

// failing has patches of status fail.
func (s *scene) failing(err error) {
	s.Writer = interceptor.NewClient(s.cluster, interceptor.Funcs{
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return err
		},
	})
}

// event is the next Kubernetes event; empty where there is none.
func (s *scene) event() string {
	select {
	case event := <-s.events.Events:
		return event
	default:
		return ""
	}
}

// refusingOnce has the API server refuse the first status, and counts how many it gets.
func refusingOnce(s *scene) *int {
	patches := new(int)
	s.Writer = interceptor.NewClient(s.cluster, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, server client.Client, part string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if *patches++; *patches == 1 {
				build := object.(*v1alpha1.CiBuild)
				build.Status.Artifacts[0].Digest = "latest" // as if another release knew less
			}
			return server.SubResource(part).Patch(ctx, object, patch, options...)
		},
	})
	return patches
}
