package plan

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const patience = 15 * time.Second

// scene is a controller and a follower before a real API server, cache and database.
type scene struct {
	*Controller
	t         *testing.T
	namespace string
	cluster   client.WithWatch
	cache     cache.Cache
	store     *store.Store
	woken     int
	large     int // plans that were begun in chunks
	// unplanned are the builds whose status is to say why they are not planned.
	unplanned []string
}

// newScene creates the objects in a namespace of their own, and has the cache see them.
func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	config := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	s := &scene{
		t: t, namespace: local.NewNamespace(t), cluster: cluster, cache: local.NewCache(t, lookup.AddIndexes), store: rows,
	}
	s.Controller = New(Config{
		Cache: s.cache, Live: cluster, Rows: rows, Decider: trigger.Decider{Filters: filters},
		Planned:     func() { s.woken++ },
		OnUnplanned: func(build types.NamespacedName) { s.unplanned = append(s.unplanned, build.Name) },
		Bounds:      NewBounds(), Troubles: NewTroubles(), OnLarge: func() { s.large++ },
	})
	s.create(objects...)
	return s
}

func (s *scene) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		object.SetNamespace(s.namespace)
		require.NoError(s.t, s.cluster.Create(s.t.Context(), object))
	}
	for _, object := range objects {
		s.sees(object)
	}
}

// sees waits until the cache has the object as it is.
func (s *scene) sees(object client.Object) {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(c *assert.CollectT) {
		cached := object.DeepCopyObject().(client.Object)
		require.NoError(c, s.cache.Get(s.t.Context(), client.ObjectKeyFromObject(object), cached))
		require.Equal(c, object.GetResourceVersion(), cached.GetResourceVersion())
	}, patience, 5*time.Millisecond)
}

// finish ends a build, as an external CI does.
func (s *scene) finish(build *v1alpha1.CiBuild, phase v1alpha1.BuildPhase) {
	s.t.Helper()
	build.Status.Phase, build.Status.Artifacts = phase, given.Artifacts(1)
	require.NoError(s.t, s.cluster.Status().Update(s.t.Context(), build))
	s.sees(build)
}

// look has the controller look at a build.
func (s *scene) look(name string) error {
	_, err := s.Reconcile(s.t.Context(), reconcile.Request{NamespacedName: s.named(name)})
	return err
}

func (s *scene) named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: name}
}

// table is what a query yields, a line for each row.
func (s *scene) table(query string) []string {
	s.t.Helper()
	rows, err := s.store.Pool().Query(s.t.Context(), query)
	require.NoError(s.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return lines
}

const (
	decided = "SELECT pipeline || ' ' || outcome || '/' || reason FROM trigger_decision ORDER BY 1"
	// queued are the stages that have come, and whose end has no consequence yet.
	queued = stages + " WHERE t.settled_at IS NULL AND t.reason <> 'StageBefore' ORDER BY 1"
	// later are those that have not come, or never will.
	later  = stages + " WHERE t.reason IN ('StageBefore', 'StageBeforeFailed') ORDER BY 1"
	stages = `SELECT w.pipeline || ' ' || r.stage || ' ' || t.status || COALESCE('/' || NULLIF(t.reason, ''), '')
		FROM cd_workflow_runner r JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN task t ON t.id = r.task_id`
	ran = "SELECT pipeline || ' ' || COALESCE(outcome, 'goes on') FROM cd_workflow ORDER BY 1"
	// logged are the events that the reporter and all others follow.
	logged = "SELECT DISTINCT kind || ' ' || build_name || ' ' || pipeline FROM event ORDER BY 1"
)

// end lets every row in the queue end.
func (s *scene) end(status store.Status) {
	s.t.Helper()
	claims, err := s.store.Claim(s.t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(s.t, err)
	require.NotEmpty(s.t, claims)
	observations := make([]store.Observation, len(claims))
	for i, claim := range claims {
		observations[i] = store.Observation{
			Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, Identity: claim.Identity, Status: status,
		}
	}
	_, err = s.store.Observe(s.t.Context(), observations)
	require.NoError(s.t, err)
}

// follower follows with the configuration of the controller.
func (s *scene) follower() *Follower { return NewFollower(s.Config, logr.Discard()) }

// failing makes requests to the API server end otherwise than they do.
func (s *scene) failing(faults interceptor.Funcs) { s.Live = interceptor.NewClient(s.cluster, faults) }

// blind is a cache that shows no CdPipelines.
type blind struct{ client.Reader }

func (b blind) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, hidden := list.(*v1alpha1.CdPipelineList); hidden {
		return nil
	}
	return b.Reader.List(ctx, list, options...)
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
