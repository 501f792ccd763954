package mirror

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// keeper is a mirror before a real database and an API server in memory.
type keeper struct {
	*Mirror
	t       *testing.T
	store   *store.Store
	cluster client.WithWatch
}

func newKeeper(t *testing.T, objects ...client.Object) *keeper {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: "penstock", MaxConns: 4, Namespaces: []string{given.Namespace}}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	k := &keeper{t: t, store: rows, cluster: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()}
	k.Mirror = New(Config{Cache: k.cluster, Rows: rows, Log: logr.Discard()})
	return k
}

// writes has these objects written as the cache has them now.
func (k *keeper) writes(objects ...client.Object) {
	k.t.Helper()
	group := make([]sighting, len(objects))
	for i, object := range objects {
		group[i] = sighting{kind: kindOf(object), uid: object.GetUID(), key: client.ObjectKeyFromObject(object)}
	}
	require.NoError(k.t, k.write(k.t.Context(), group))
}

func kindOf(object client.Object) kind {
	switch object.(type) {
	case *v1alpha1.CiBuild:
		return ciBuild
	case *v1alpha1.CiPipeline:
		return ciPipeline
	default:
		return cdPipeline
	}
}

func (k *keeper) table(query string) []string {
	k.t.Helper()
	rows, err := k.store.Pool().Query(k.t.Context(), query)
	require.NoError(k.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(k.t, err)
	return lines
}

// exist are the names of what the tables believe to exist, and of what has gone.
func (k *keeper) exist() []string {
	k.t.Helper()
	return k.table(`SELECT name || CASE WHEN deleted_at IS NULL THEN '' ELSE ' gone' END FROM (
		SELECT build_name || ' ' || left(build_uid, 4) AS name, deleted_at FROM ci_build
		UNION ALL SELECT pipeline || ' ' || left(pipeline_uid, 4), deleted_at FROM cd_pipeline
		UNION ALL SELECT pipeline || ' ' || left(pipeline_uid, 4), deleted_at FROM ci_pipeline) o ORDER BY 1`)
}

func row(name string) string { return name + " " + uidOf(name) }

// finished is a build that has succeeded.
func finished(name string) *v1alpha1.CiBuild {
	made := build(name)
	made.CreationTimestamp = metav1.NewTime(time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC))
	made.Status.Phase = v1alpha1.BuildRunning
	return made
}

func TestObjectsBecomeRowsAndRowsFollowThem(t *testing.T) {
	t.Parallel()
	b1, web := finished("b1"), given.CdPipeline("web", given.Held, given.Concurrency(v1alpha1.ConcurrencyLatest))
	b1.Spec.Revision = "re\x00vision"
	k := newKeeper(t, b1, web, ci())
	k.writes(b1, web, ci())
	const all = `SELECT concat_ws(' ', build_name, ci_pipeline, revision, cause, phase, planned_at) FROM ci_build
		UNION ALL SELECT concat_ws(' ', pipeline, application, parent_kind, parent_name, policy, suspended, held) FROM cd_pipeline
		UNION ALL SELECT concat_ws(' ', pipeline, suspended) FROM ci_pipeline ORDER BY 1`
	require.Equal(t, []string{"b1 ci re\uFFFDvision API Running", "ci f", "web web CiPipeline ci Latest f t"}, k.table(all))

	versions := `SELECT xmin::text FROM ci_build UNION ALL SELECT xmin::text FROM cd_pipeline UNION ALL SELECT xmin::text FROM ci_pipeline`
	before := k.table(versions)
	k.writes(b1, web, ci())
	require.Equal(t, before, k.table(versions), "nothing has changed")

	web.Spec.Hold, web.Spec.Suspend = false, true
	b1.Status.Phase = v1alpha1.BuildFailed
	require.NoError(t, k.cluster.Update(t.Context(), web))
	require.NoError(t, k.cluster.Update(t.Context(), b1))
	k.writes(b1, web, ci())
	require.Equal(t, []string{"b1 ci re\uFFFDvision API Failed", "ci f", "web web CiPipeline ci Latest t f"}, k.table(all))
}

func TestAnObjectThatGoesAndOneThatTakesItsName(t *testing.T) {
	t.Parallel()
	for sentence, object := range map[string]client.Object{"a build": finished("x"), "a CdPipeline": given.CdPipeline("x")} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(t, object)
			k.writes(object)
			require.Equal(t, []string{row("x")}, k.exist())
			require.NoError(t, k.cluster.Delete(t.Context(), object))
			k.writes(object)
			require.Equal(t, []string{row("x") + " gone"}, k.exist())

			again := object.DeepCopyObject().(client.Object)
			again.SetUID("anew")
			again.SetResourceVersion("")
			require.NoError(t, k.cluster.Create(t.Context(), again))
			k.writes(object, again)
			require.Equal(t, []string{row("x") + " gone", "x anew"}, k.exist())
		})
	}
}

// The planner may know a pipeline before the mirror does, and the mirror a build before the
// planner.
func TestAMirrorAndAPlannerWriteTheSameRows(t *testing.T) {
	t.Parallel()
	web := given.CdPipeline("web")
	first, second := finished("b1"), finished("b2")
	k := newKeeper(t, first, second, web)
	k.writes(first)
	uid := func(object client.Object) string { return string(object.GetUID()) }
	planned, err := k.store.Planned(t.Context(), []string{uid(first), uid(second)})
	require.NoError(t, err)
	require.Empty(t, planned, "a build that is only mirrored is not planned")
	seq := k.table(`SELECT seq::text FROM ci_build`)

	for _, build := range []*v1alpha1.CiBuild{second, first} {
		k.plan(build, web)
	}
	require.Equal(t, seq, k.table(`SELECT seq::text FROM ci_build WHERE build_name = 'b1'`), "its place is that of its first sight")
	require.Equal(t, []string{"b1", "b2"}, k.table(`SELECT build_name FROM ci_build WHERE planned_at IS NOT NULL ORDER BY seq`))
	require.Equal(t, []string{"Skipped b1", "Triggered b2"}, k.table(`SELECT outcome || ' ' || build_name FROM trigger_decision ORDER BY build_name`),
		"b1 was seen first, and ended after b2 had its turn")

	place := k.table(`SELECT newest_seq::text || newest_at FROM cd_pipeline`)
	k.writes(first, second, web)
	require.Equal(t, []string{row("b1"), row("b2"), row("web")}, k.exist())
	require.Len(t, k.table(`SELECT build_name FROM ci_build WHERE planned_at IS NOT NULL AND spec_hash <> ''`), 2)
	require.Equal(t, place, k.table(`SELECT newest_seq::text || newest_at FROM cd_pipeline WHERE policy = $$$$ AND spec_hash <> ''`))
}

// plan commits a build with one artifact and these pipelines below.
func (k *keeper) plan(build *v1alpha1.CiBuild, pipelines ...*v1alpha1.CdPipeline) {
	k.t.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(k.t, err)
	facts := given.Build(build.Name)
	facts.UID, facts.CreatedAt = string(build.UID), build.CreationTimestamp.Time
	decisions := trigger.Decider{Filters: filters}.Build(facts, given.CiPipeline(given.CI), given.Artifacts(1), given.FamilyOf(pipelines...))
	_, err = k.store.Plan(k.t.Context(), store.BuildPlan{Build: facts, Artifacts: given.Artifacts(1), Decisions: decisions})
	require.NoError(k.t, err)
}

// The mirror was away while most of the objects went, and one came.
func TestAMirrorThatStartsForgetsWhatHasGone(t *testing.T) {
	t.Parallel()
	stays, comes, gone := finished("stays"), given.CdPipeline("comes"), given.CdPipeline("gone")
	k := newKeeper(t, stays, comes, gone)
	k.writes(stays, gone)
	const many = 2*pageSize + 7
	_, err := k.store.Pool().Exec(t.Context(), `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase)
		SELECT md5(n::text), CASE WHEN n <= $1 THEN 'default' ELSE 'elsewhere' END, 'old-' || n, 'ci', '', '', '' FROM generate_series(1, $1::integer + 3) n`, many)
	require.NoError(t, err)
	require.NoError(t, k.cluster.Delete(t.Context(), gone))
	// Somebody plans a build for a pipeline that the cache does not show yet.
	k.plan(finished("b1"), given.CdPipeline("new"))
	k.forgetDeleted(t.Context())
	require.Equal(t, []string{fmt.Sprint(many)}, k.table(`SELECT count(*)::text FROM ci_build WHERE deleted_at IS NOT NULL AND build_name LIKE 'old-%'`))
	require.Equal(t, []string{"3"}, k.table(`SELECT count(*)::text FROM ci_build WHERE deleted_at IS NULL AND namespace = 'elsewhere'`), "those are another's")
	require.Equal(t, []string{row("stays")}, k.table(`SELECT build_name || ' ' || left(build_uid, 4) FROM ci_build WHERE deleted_at IS NULL AND namespace = 'default'`))

	require.NoError(t, k.cluster.Create(t.Context(), given.CdPipeline("new")))
	k.writes(given.CdPipeline("new"), comes)
	require.Equal(t, []string{row("comes"), row("gone") + " gone", row("new")},
		k.table(`SELECT pipeline || ' ' || left(pipeline_uid, 4) || CASE WHEN deleted_at IS NULL THEN '' ELSE ' gone' END FROM cd_pipeline ORDER BY 1`))
}

func TestBuildsAreNumberedInTheOrderInWhichTheyWereSeen(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	var want []string
	for n := range 3 * groupSize {
		one := finished(fmt.Sprintf("b-%03d", (n*7919)%(3*groupSize)))
		require.NoError(t, k.cluster.Create(t.Context(), one))
		want = append(want, one.Name)
		k.note(ciBuild, one)
		k.note(ciBuild, one)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Start(ctx) }()
	require.Eventually(t, func() bool { return len(k.exist()) == len(want) }, 15*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, want, k.table(`SELECT build_name FROM ci_build ORDER BY seq`))
}

// What waits when the process ends is written before it does.
func TestAMirrorThatIsStoppedWritesWhatWaits(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for n := range groupSize + 1 {
		one := finished(fmt.Sprint("b", n))
		require.NoError(t, k.cluster.Create(t.Context(), one))
		k.note(ciBuild, one)
	}
	require.NoError(t, k.Start(ctx))
	require.Len(t, k.exist(), groupSize+1)
	k.note(ciBuild, finished("late")) // is taken by nobody, and breaks nothing
}

// One object that the database can't store must not keep the others.
func TestTextThatPostgresRefusesIsMirrored(t *testing.T) {
	t.Parallel()
	odd := finished("odd")
	odd.Spec.Revision = "\xff\x00"
	k := newKeeper(t, finished("b1"))
	k.Cache = shown{k.cluster, odd}
	k.writes(odd, finished("b1"))
	require.Equal(t, []string{row("b1"), row("odd")}, k.exist())
}

// shown is a cache that shows a build that the API server in memory can't hold.
type shown struct {
	client.Reader
	odd *v1alpha1.CiBuild
}

func (s shown) Get(ctx context.Context, key types.NamespacedName, object client.Object, options ...client.GetOption) error {
	if key.Name == s.odd.Name {
		s.odd.DeepCopyInto(object.(*v1alpha1.CiBuild))
		return nil
	}
	return s.Reader.Get(ctx, key, object, options...)
}
