package request

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/controllers/plan"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

const patience = 15 * time.Second

// scene is a controller before a real database and an API server in memory, which is its
// cache as well, with the real planner and follower beside it.
type scene struct {
	*Controller
	t       *testing.T
	store   *store.Store
	config  store.Config
	cluster client.WithWatch
	events  *events.FakeRecorder
	planner *plan.Controller
	woken   int
	minute  int
	// refusing is held by one of the tests that share a scene.
	refusing sync.Mutex
}

// indexer registers field indexes at a server that is still to be built.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// newScene has a CiPipeline, and these objects.
func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	s := &scene{
		t: t, cluster: newCluster(t, append(objects, given.CiPipeline(given.CI))...), events: events.NewFakeRecorder(100),
		config: borrow(t),
	}
	s.store = s.openStore()
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	decider := trigger.Decider{Filters: filters}
	s.Controller = New(Config{
		Cache: s.cluster, Live: s.cluster, Writer: s.cluster, Rows: s.store, Decider: decider, Events: s.events,
		OnCommit: func() { s.woken++ },
	})
	s.planner = plan.New(plan.Config{
		Cache: s.cluster, Live: s.cluster, Rows: s.store, Decider: decider,
		Planned: func() {}, OnUnplanned: func(types.NamespacedName) {},
	})
	return s
}

// idle are migrated databases that no test uses: to make one for each of a hundred tests
// takes longer than the tests.
var idle = make(chan store.Config, 100)

// borrow returns a database with empty tables, which the next test may have after this one.
func borrow(t *testing.T) store.Config {
	t.Helper()
	var config store.Config
	select {
	case config = <-idle:
	default:
		url, err := postgres.NewDatabase(t.Context(), "test")
		require.NoError(t, err)
		config = store.Config{URL: url, Schema: "penstock", MaxConns: 4}
		require.NoError(t, store.Migrate(t.Context(), config))
	}
	t.Cleanup(func() {
		empty(t, config)
		idle <- config
	})
	return config
}

func empty(t *testing.T, config store.Config) {
	t.Helper()
	rows, err := store.Open(context.Background(), config)
	require.NoError(t, err)
	defer rows.Close()
	_, err = rows.Pool().Exec(context.Background(), `DO $$ DECLARE every text; BEGIN
		SELECT string_agg(quote_ident(tablename), ', ') INTO every FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'goose_db_version';
		EXECUTE 'TRUNCATE ' || every || ' RESTART IDENTITY CASCADE';
	END $$`)
	require.NoError(t, err)
}

func newCluster(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).
		WithStatusSubresource(&v1alpha1.CiBuild{}, &v1alpha1.CdPipeline{}, &v1alpha1.RunRequest{}).
		WithIndex(&v1alpha1.CiBuild{}, "metadata.name", func(object client.Object) []string { return []string{object.GetName()} }).
		WithIndex(&v1alpha1.CdPipeline{}, "spec.parentRef.kind", func(object client.Object) []string {
			return []string{string(object.(*v1alpha1.CdPipeline).Spec.ParentRef.Kind)}
		}).
		WithIndex(&v1alpha1.CdPipeline{}, "spec.parentRef.name", func(object client.Object) []string {
			return []string{object.(*v1alpha1.CdPipeline).Spec.ParentRef.Name}
		})
	require.NoError(t, lookup.AddIndexes(t.Context(), indexer{builder}))
	return builder.Build()
}

func (s *scene) openStore() *store.Store {
	s.t.Helper()
	rows, err := store.Open(s.t.Context(), s.config)
	require.NoError(s.t, err)
	s.t.Cleanup(rows.Close)
	return rows
}

// build creates a CiBuild, later than those before.
func (s *scene) build(name string) {
	s.t.Helper()
	build := given.CiBuild(name)
	s.minute++
	build.UID, build.CreationTimestamp = given.UID(name), metav1.NewTime(time.Date(2024, 5, 17, 12, s.minute, 0, 0, time.UTC))
	require.NoError(s.t, s.cluster.Create(s.t.Context(), build))
}

// finish ends a build, as an external CI does.
func (s *scene) finish(name string, phase v1alpha1.BuildPhase, artifacts ...v1alpha1.Artifact) {
	s.t.Helper()
	build := &v1alpha1.CiBuild{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), key(name), build))
	build.Status.Phase, build.Status.Artifacts = phase, artifacts
	require.NoError(s.t, s.cluster.Status().Update(s.t.Context(), build))
}

// plan has what follows the end of a build committed.
func (s *scene) plan(name string) {
	s.t.Helper()
	require.NoError(s.t, s.planner.Plan(s.t.Context(), key(name)))
}

// built creates a build that has succeeded with so many artifacts, and is planned.
func (s *scene) built(name string, artifacts ...v1alpha1.Artifact) {
	s.t.Helper()
	if len(artifacts) == 0 {
		artifacts = given.Artifacts(1)
	}
	s.build(name)
	s.finish(name, v1alpha1.BuildSucceeded, artifacts...)
	s.plan(name)
}

// claim takes every task in the queue.
func (s *scene) claim() []store.Claim {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(s.t, err)
	return claims
}

// submit claims every task in the queue, and says that their Workflows exist.
func (s *scene) submit() []store.Claim {
	s.t.Helper()
	claims := s.claim()
	require.NotEmpty(s.t, claims, "the queue is empty")
	s.complete(claims)
	return claims
}

// complete says that the Workflows of claims exist.
func (s *scene) complete(claims []store.Claim) {
	s.t.Helper()
	completions := make([]store.Completion, len(claims))
	for i, claim := range claims {
		completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted, WorkflowUID: "uid of " + claim.WorkflowName}
	}
	moved, err := s.store.Complete(s.t.Context(), "w", completions)
	require.NoError(s.t, err)
	require.Len(s.t, moved, len(claims))
}

// see observes the Workflows of claims in a phase.
func (s *scene) see(status store.Status, claims ...store.Claim) {
	s.t.Helper()
	observations := make([]store.Observation, len(claims))
	for i, claim := range claims {
		observations[i] = store.Observation{
			Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: "uid of " + claim.WorkflowName,
			Identity: claim.Identity, Status: status, Reason: reasonOf(status),
		}
	}
	_, err := s.store.Observe(s.t.Context(), observations)
	require.NoError(s.t, err)
}

func reasonOf(status store.Status) v1alpha1.Reason {
	if status == store.StatusFailed {
		return v1alpha1.ReasonWorkflowFailed
	}
	return ""
}

// end lets every task in the queue end so, and commits what follows.
func (s *scene) end(status store.Status) {
	s.t.Helper()
	s.see(status, s.submit()...)
	s.follow()
}

// endAll is end until nothing is in the queue.
func (s *scene) endAll(status store.Status) {
	s.t.Helper()
	for claims := s.claim(); len(claims) > 0; claims = s.claim() {
		s.complete(claims)
		s.see(status, claims...)
		s.follow()
	}
}

// follow has the real follower commit all that follows what has ended.
func (s *scene) follow() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	follower := plan.NewFollower(s.planner.Config, logr.Discard())
	go func() { ended <- follower.Start(ctx) }()
	require.Eventually(s.t, func() bool {
		left, err := s.store.Unfollowed(s.t.Context(), 1, nil)
		return err == nil && len(left) == 0
	}, patience, 5*time.Millisecond)
	cancel()
	require.NoError(s.t, <-ended)
}

// ask creates a request, and returns what became of it.
func (s *scene) ask(request *v1alpha1.RunRequest) v1alpha1.RunRequestStatus {
	s.t.Helper()
	require.NoError(s.t, s.cluster.Create(s.t.Context(), request))
	return s.answered(request.Name)
}

// answered looks at a request until it is answered.
func (s *scene) answered(name string) v1alpha1.RunRequestStatus {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, err := s.look(name)
		require.NoError(s.t, err)
		return s.status(name).Phase != ""
	}, patience, time.Millisecond)
	return s.status(name)
}

// done asks for something that is done.
func (s *scene) done(request *v1alpha1.RunRequest) v1alpha1.RunRequestStatus {
	s.t.Helper()
	status := s.ask(request)
	require.Equal(s.t, v1alpha1.RequestDone, status.Phase, status.Message)
	return status
}

// refused asks for something that is refused, and returns why.
func (s *scene) refused(request *v1alpha1.RunRequest) string {
	s.t.Helper()
	before := s.everything()
	status := s.ask(request)
	require.Equal(s.t, v1alpha1.RequestRefused, status.Phase, status.Message)
	require.Equal(s.t, before, s.everything(), "a refusal has changed something")
	require.Zero(s.t, status.Run)
	return status.Message
}

// look has the controller look at a request once.
func (s *scene) look(name string) (reconcile.Result, error) {
	return s.Reconcile(s.t.Context(), reconcile.Request{NamespacedName: key(name)})
}

func (s *scene) status(name string) v1alpha1.RunRequestStatus {
	s.t.Helper()
	request := &v1alpha1.RunRequest{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), key(name), request))
	return request.Status
}

// change updates a pipeline.
func (s *scene) change(name string, with func(*v1alpha1.CdPipeline)) {
	s.t.Helper()
	pipeline := &v1alpha1.CdPipeline{}
	require.NoError(s.t, s.cluster.Get(s.t.Context(), key(name), pipeline))
	with(pipeline)
	require.NoError(s.t, s.cluster.Update(s.t.Context(), pipeline))
}

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: given.Namespace, Name: name}
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

// runs are the runs of a pipeline, the oldest first.
func (s *scene) runs(pipeline string) []string {
	s.t.Helper()
	return s.table(`SELECT b.build_name || ' #' || w.run || ' ' || COALESCE(w.outcome, 'goes on')
		FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid WHERE w.pipeline = $1 ORDER BY w.id`, pipeline)
}

// stages are the stages of a run, in order.
func (s *scene) stages(run int64) []string {
	s.t.Helper()
	return s.table(`SELECT r.stage || ' ' || t.status || COALESCE('/' || NULLIF(t.reason, ''), '')
		FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = $1 ORDER BY r.id`, run)
}

// run is the number of the newest run of a pipeline.
func (s *scene) run(pipeline string) int64 {
	s.t.Helper()
	var id int64
	require.NoError(s.t, s.store.Pool().QueryRow(s.t.Context(), `SELECT max(id) FROM cd_workflow WHERE pipeline = $1`, pipeline).Scan(&id))
	return id
}

// decided is what was decided for a pipeline, the newest build last.
func (s *scene) decided(pipeline string) []string {
	s.t.Helper()
	return s.table(`SELECT build_name || ' ' || outcome || '/' || reason FROM trigger_decision WHERE pipeline = $1 ORDER BY id`, pipeline)
}

// deployed is what is deployed by a pipeline.
func (s *scene) deployed(pipeline string) []string {
	s.t.Helper()
	return s.table(`SELECT d.build_name FROM deployed d JOIN cd_pipeline p USING (pipeline_uid) WHERE p.pipeline = $1 ORDER BY 1`, pipeline)
}

// everything that requests may change, but for what is recorded of the requests themselves.
func (s *scene) everything() []string {
	s.t.Helper()
	var all []string
	for _, table := range []string{"task", "turn", "cd_workflow", "cd_workflow_runner", "trigger_decision", "deployed", "event WHERE kind <> 'Request'"} {
		all = append(all, s.table("SELECT x::text FROM "+table[:tableName(table)]+" x"+table[tableName(table):]+" ORDER BY 1")...)
	}
	return all
}

func tableName(from string) int {
	for i, r := range from {
		if r == ' ' {
			return i
		}
	}
	return len(from)
}

// recorded are the requests that the tables know.
func (s *scene) recorded() []string {
	s.t.Helper()
	return s.table("SELECT name || ' ' || action || ' ' || phase FROM run_request ORDER BY at, name")
}

// told are the events on objects since the last call.
func (s *scene) told() []string {
	var told []string
	for len(s.events.Events) > 0 {
		told = append(told, <-s.events.Events)
	}
	return told
}

func message(format string, args ...any) string { return fmt.Sprintf(format, args...) }
