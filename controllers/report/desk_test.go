package report

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// tables are the rows of one build and one pipeline, in memory.
type tables struct {
	summary  *store.Summary
	run      store.LastRun
	deployed []v1alpha1.Deployed
	decision *store.LastDecision
	err      error
	panics   bool
	// grows makes each summary another.
	grows bool
	// delayedBuilds and delayedPipelines are those of the tasks that are set aside.
	delayedBuilds, delayedPipelines []types.NamespacedName
}

func (s *tables) Summaries(_ context.Context, uids []string) (map[string]*store.Summary, error) {
	if s.panics {
		panic("spilled")
	}
	if s.grows {
		next := *s.summary
		next.Triggers.Pending++
		s.summary = &next
	}
	summaries := map[string]*store.Summary{}
	if s.summary != nil {
		for _, uid := range uids {
			summaries[uid] = s.summary
		}
	}
	return summaries, s.err
}

func (s *tables) LastRuns(_ context.Context, uids []string) (map[string]store.LastRun, error) {
	return map[string]store.LastRun{uids[0]: s.run}, s.err
}

func (s *tables) Deployed(_ context.Context, uids []string) (map[string][]v1alpha1.Deployed, error) {
	return map[string][]v1alpha1.Deployed{uids[0]: s.deployed}, s.err
}

func (s *tables) LastDecisions(_ context.Context, uids []string) (map[string]store.LastDecision, error) {
	if s.decision == nil {
		return map[string]store.LastDecision{}, s.err
	}
	return map[string]store.LastDecision{uids[0]: *s.decision}, s.err
}

func (s *tables) WaitingIn(context.Context, string, int) (builds, pipelines []types.NamespacedName, err error) {
	return nil, nil, nil
}

func (s *tables) DelayedOwners(context.Context, string, int) (builds, pipelines []types.NamespacedName, err error) {
	return s.delayedBuilds, s.delayedPipelines, s.err
}

func (s *tables) HeldBackPipelines(context.Context) ([]types.NamespacedName, error) {
	return []types.NamespacedName{named("web")}, s.err
}

func (s *tables) WaitingBuilds(context.Context) ([]types.NamespacedName, error) {
	return []types.NamespacedName{named("b1")}, s.err
}

// desk is a reporter before an API server in memory, which is its cache as well.
type desk struct {
	*Reporter
	server  client.WithWatch
	rows    *tables
	events  *events.FakeRecorder
	busy    bool
	shut    bool // the backlog gate
	patches counter
	// refuse, where set, is what a status patch ends with instead of being made.
	refuse error
}

// indexer registers field indexes at a server that is still to be built.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

func newDesk(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	require.NoError(t, wfv1.AddToScheme(scheme))
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).
		WithObjects(given.WorkflowTemplate(given.Template, time.Second)).
		WithStatusSubresource(&v1alpha1.CiBuild{}, &v1alpha1.CdPipeline{})
	require.NoError(t, lookup.AddIndexes(t.Context(), indexer{builder}))
	d := &desk{server: builder.Build(), rows: &tables{}, events: events.NewFakeRecorder(100)}
	d.Reporter = New(Config{
		Cache: d.server, Writer: interceptor.NewClient(d.server, interceptor.Funcs{SubResourcePatch: d.patch}),
		Rows: d.rows, History: &history{}, Decider: trigger.Decider{Filters: filters}, Events: d.events,
		Busy: func() bool { return d.busy }, Gate: func() (bool, int, int) { return d.shut, 7, 7 }, Log: logr.Discard(),
	})
	return d
}

// reports runs one round, and tells whether all of it could be read and written.
func (d *desk) reports(t *testing.T) bool {
	t.Helper()
	_, err := d.runOnce(t.Context())
	return err == nil
}

func (d *desk) patch(ctx context.Context, server client.Client, sub string, object client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	if d.refuse != nil {
		return d.refuse
	}
	d.patches.add()
	return server.SubResource(sub).Patch(ctx, object, patch, opts...)
}

func (d *desk) build(t *testing.T) *v1alpha1.CiBuild {
	t.Helper()
	build := &v1alpha1.CiBuild{}
	require.NoError(t, d.server.Get(t.Context(), named("b1"), build))
	return build
}

func (d *desk) pipeline(t *testing.T) *v1alpha1.CdPipeline {
	t.Helper()
	pipeline := &v1alpha1.CdPipeline{}
	require.NoError(t, d.server.Get(t.Context(), named("web"), pipeline))
	return pipeline
}

// told is how many events there have been since the last call.
func (d *desk) told() int {
	n := 0
	for ; len(d.events.Events) > 0; n++ {
		<-d.events.Events
	}
	return n
}

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: given.Namespace, Name: name}
}

// counter counts what several goroutines do.
type counter struct{ n atomic.Int64 }

func (c *counter) add() { c.n.Add(1) }

func (c *counter) value() int { return int(c.n.Load()) }
