package hold

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

const patience = 15 * time.Second

// scene is a holder before a real database and an API server in memory, which is its cache
// as well.
type scene struct {
	*Holder
	t         *testing.T
	store     *store.Store
	cluster   client.WithWatch
	decider   trigger.Decider
	informer  *informer
	templates *informer
	woken     atomic.Int32
	minute    int
	// freeze is the one that is in force.
	freeze atomic.Pointer[trigger.Freeze]
}

// isFrozen is the freeze that is in force from now on.
func (s *scene) isFrozen(freeze trigger.Freeze) {
	s.freeze.Store(&freeze)
	s.Refreeze()
}

// informer tells when somebody listens to it.
type informer struct {
	*controllertest.FakeInformer
	listening chan struct{}
	removed   atomic.Int32
}

func (i *informer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	defer close(i.listening)
	return i.FakeInformer.AddEventHandler(handler)
}

func (i *informer) RemoveEventHandler(toolscache.ResourceEventHandlerRegistration) error {
	i.removed.Add(1)
	return nil
}

func newScene(t *testing.T, pipelines ...client.Object) *scene {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	require.NoError(t, wfv1.AddToScheme(scheme))
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	s := &scene{
		t: t, store: rows, cluster: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(pipelines...)...).Build(),
		decider:  trigger.Decider{Filters: filters},
		informer: newInformer(), templates: newInformer(),
	}
	s.freeze.Store(&trigger.Freeze{})
	s.Holder = New(Config{
		Cache: s.cluster, Live: s.cluster, Rows: rows, Interval: time.Hour, TemplateWait: time.Minute, Freeze: func() trigger.Freeze { return *s.freeze.Load() }, OnCommit: func() { s.woken.Add(1) }, Log: logr.Discard(),
	})
	require.NoError(t, s.Watch(t.Context(), informers{scene: s}))
	return s
}

// informers are those of the scene.
type informers struct {
	cache.Informers
	scene *scene
}

func (i informers) GetInformer(_ context.Context, object client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	switch kind := object.GetObjectKind().GroupVersionKind().Kind; kind {
	case argo.KindTemplate:
		return i.scene.templates, nil
	case argo.KindClusterTemplate:
		return newInformer(), nil
	default:
		return i.scene.informer, nil
	}
}

func clusterTemplate(name string) *wfv1.ClusterWorkflowTemplate {
	return &wfv1.ClusterWorkflowTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func newInformer() *informer {
	return &informer{FakeInformer: controllertest.NewFakeInformer(controllertest.Synced), listening: make(chan struct{})}
}

// built plans a build that has succeeded, later than those before, for the pipelines as
// they are.
func (s *scene) built(name string) {
	s.t.Helper()
	build := given.Build(name)
	s.minute++
	build.CreatedAt = time.Date(2024, 5, 17, 12, s.minute, 0, 0, time.UTC)
	var list v1alpha1.CdPipelineList
	require.NoError(s.t, s.cluster.List(s.t.Context(), &list))
	decisions := s.decider.Build(build, given.CiPipeline(given.CI), given.Artifacts(1), given.Family(list.Items))
	planned, err := s.store.Plan(s.t.Context(), store.BuildPlan{Build: build, Artifacts: given.Artifacts(1), Decisions: decisions})
	require.NoError(s.t, err)
	require.True(s.t, planned)
}

// change updates a pipeline, and has the holder see that.
func (s *scene) change(name string, with func(*v1alpha1.CdPipeline)) {
	s.t.Helper()
	s.note(s.update(name, with))
}

// update updates a pipeline while nobody looks.
func (s *scene) update(name string, with func(*v1alpha1.CdPipeline)) *v1alpha1.CdPipeline {
	s.t.Helper()
	pipeline := s.pipeline(name)
	with(pipeline)
	pipeline.Generation++
	require.NoError(s.t, s.cluster.Update(s.t.Context(), pipeline))
	return pipeline
}

func (s *scene) pipeline(name string) *v1alpha1.CdPipeline {
	s.t.Helper()
	pipeline := &v1alpha1.CdPipeline{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), key(name), pipeline))
	return pipeline
}

// look has the holder look once.
func (s *scene) look() {
	s.t.Helper()
	_, err := s.runOnce(s.t.Context())
	require.NoError(s.t, err)
}

// end lets every task in the queue end well. What follows is another's work.
func (s *scene) end() {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, claims)
	for _, claim := range claims {
		_, err = s.store.Observe(s.t.Context(), []store.Observation{{
			Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: "uid", Identity: claim.Identity, Status: store.StatusSucceeded,
		}})
		require.NoError(s.t, err)
	}
}

// follow commits what follows, by the pipelines as they are.
func (s *scene) follow() {
	s.t.Helper()
	ended, err := s.store.Unfollowed(s.t.Context(), 1000, nil)
	require.NoError(s.t, err)
	consequences := make([]store.Consequence, len(ended))
	for i, one := range ended {
		consequences[i] = store.Consequence{Ended: one, Outcome: one.Status}
		if one.Status == store.StatusSucceeded && len(one.Later) > 0 {
			next := one.Later[0]
			consequences[i] = store.Consequence{Ended: one, Next: next, Hold: trigger.HoldOf(s.pipeline(one.Pipeline), next, false)}
		}
	}
	require.NoError(s.t, s.store.Follow(s.t.Context(), consequences))
}

// stages are the first stages of every run that have not ended, and what holds them.
func (s *scene) stages() []string {
	s.t.Helper()
	return s.table(`SELECT owner_name || ' ' || (inputs->>'build') || ' ' || (inputs->>'stage') || ' ' || status || COALESCE('/' || NULLIF(reason, ''), '')
		FROM task WHERE reason <> 'StageBefore' AND settled_at IS NULL ORDER BY id`)
}

func (s *scene) turns() []string {
	s.t.Helper()
	return s.table(`SELECT pipeline || ' ' || build_name || ' ' || state FROM turn JOIN cd_pipeline USING (pipeline_uid) JOIN ci_build USING (build_uid) ORDER BY turn.id`)
}

// table is what a query yields, a line for each row.
func (s *scene) table(query string, args ...any) []string {
	s.t.Helper()
	rows, err := s.store.Pool().Query(s.t.Context(), query, args...)
	require.NoError(s.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return lines
}

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: given.Namespace, Name: name}
}

// start starts the holder, and returns when it listens. It is stopped when the test ends.
func (s *scene) start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	<-s.informer.listening
	<-s.templates.listening
	return func() {
		cancel()
		require.NoError(s.t, <-ended)
	}
}

// eventuallyStages waits until the stages are so.
func (s *scene) eventuallyStages(want ...string) {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(c *assert.CollectT) { require.Equal(c, want, s.stages()) }, patience, 10*time.Millisecond)
}
