package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// tables are the mirror's rows in memory, by UID.
type tables struct {
	mu     sync.Mutex
	builds map[string]store.MirroredBuild
	cis    map[string]store.MirroredCiPipeline
	cds    map[string]store.MirroredCdPipeline
	writes int
	down   bool
}

var errDown = errors.New("database is down")

// write does what is given unless the database is down.
func (s *tables) write(do func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.writes++
	do()
	return nil
}

func (s *tables) MirrorBuilds(_ context.Context, builds []store.MirroredBuild) error {
	return s.write(func() {
		for _, build := range builds {
			s.builds[build.UID] = build
		}
	})
}

func (s *tables) MirrorCiPipelines(_ context.Context, pipelines []store.MirroredCiPipeline) error {
	return s.write(func() {
		for _, pipeline := range pipelines {
			s.cis[pipeline.UID] = pipeline
		}
	})
}

func (s *tables) MirrorCdPipelines(_ context.Context, pipelines []store.MirroredCdPipeline) error {
	return s.write(func() {
		for _, pipeline := range pipelines {
			s.cds[pipeline.UID] = pipeline
		}
	})
}

func (s *tables) ForgetMirrored(_ context.Context, uids []string) error {
	return s.write(func() {
		for _, uid := range uids {
			delete(s.builds, uid)
			delete(s.cis, uid)
			delete(s.cds, uid)
		}
	})
}

func (s *tables) Mirrored(_ context.Context, after string, most int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	var uids []string
	for uid := range s.builds {
		uids = append(uids, uid)
	}
	for uid := range s.cis {
		uids = append(uids, uid)
	}
	for uid := range s.cds {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	first, found := slices.BinarySearch(uids, after)
	if found {
		first++
	}
	return uids[first:min(first+most, len(uids))], nil
}

// names are what is mirrored, sorted.
func (s *tables) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for _, build := range s.builds {
		names = append(names, "build "+build.Name+" "+build.Phase)
	}
	for _, pipeline := range s.cis {
		names = append(names, "ci "+pipeline.Name)
	}
	for _, pipeline := range s.cds {
		names = append(names, "cd "+pipeline.Name+" "+pipeline.UID[:4])
	}
	slices.Sort(names)
	return names
}

func (s *tables) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *tables) fail(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// desk is a mirror before an API server in memory, which is its cache as well.
type desk struct {
	*Mirror
	t         *testing.T
	cluster   client.WithWatch
	rows      *tables
	informers map[kind]*controllertest.FakeInformer
	lines     []string
}

func newDesk(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	d := &desk{
		t: t, informers: map[kind]*controllertest.FakeInformer{},
		cluster: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).Build(),
		rows: &tables{
			builds: map[string]store.MirroredBuild{}, cis: map[string]store.MirroredCiPipeline{}, cds: map[string]store.MirroredCdPipeline{},
		},
	}
	log := funcr.New(func(_, line string) { d.lines = append(d.lines, line) }, funcr.Options{})
	d.Mirror = New(Config{Cache: d.cluster, Rows: d.rows, Log: log})
	informers := &informertest.FakeInformers{Scheme: scheme}
	require.NoError(t, d.Watch(t.Context(), informers))
	for kind, object := range map[kind]client.Object{
		ciBuild: &v1alpha1.CiBuild{}, ciPipeline: &v1alpha1.CiPipeline{}, cdPipeline: &v1alpha1.CdPipeline{},
	} {
		informer, err := informers.FakeInformerFor(t.Context(), object)
		require.NoError(t, err)
		d.informers[kind] = informer
	}
	return d
}

// run lets the mirror run in the bubble while something happens.
func (d *desk) run(do func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Start(ctx) }()
	synctest.Wait()
	do()
	cancel()
	require.NoError(d.t, <-ended)
}

func settle() {
	time.Sleep(10 * commitInterval)
	synctest.Wait()
}

// object is what all three kinds of object are.
type object interface {
	client.Object
	runtime.Object
}

func (d *desk) add(kind kind, object object) {
	d.t.Helper()
	require.NoError(d.t, d.cluster.Create(d.t.Context(), object))
	d.informers[kind].Add(object)
}

func (d *desk) remove(kind kind, object object) {
	d.t.Helper()
	require.NoError(d.t, d.cluster.Delete(d.t.Context(), object))
	d.informers[kind].Delete(object)
}

func build(name string) *v1alpha1.CiBuild {
	return given.CiBuild(name, func(b *v1alpha1.CiBuild) { b.UID = given.UID(name) })
}

func ci() *v1alpha1.CiPipeline {
	return given.CiPipeline(given.CI, func(p *v1alpha1.CiPipeline) { p.UID = given.UID(given.CI) })
}

func uidOf(name string) string { return string(given.UID(name))[:4] }

func TestEachObjectIsARow(t *testing.T) {
	t.Parallel()
	created := metav1.Unix(1000, 0)
	one := build("b1")
	one.CreationTimestamp, one.Status.Phase, one.Spec.Cause = created, v1alpha1.BuildRunning, &v1alpha1.BuildCause{Type: v1alpha1.CauseWebhook}
	pipeline := ci()
	pipeline.Spec.Application, pipeline.Spec.Suspend = "shop", true
	child := given.CdPipeline("web", given.Held, given.Suspended, given.BelowCd("parent"), given.Concurrency(v1alpha1.ConcurrencyLatest),
		func(p *v1alpha1.CdPipeline) { p.Spec.Environment = "staging" })
	require.Equal(t, store.MirroredBuild{
		UID: string(given.UID("b1")), Namespace: "default", Name: "b1", CiPipeline: "ci", Revision: "main", Cause: "Webhook", Phase: "Running",
		CreatedAt: created.Time, SpecHash: hash(one.Spec),
	}, mirroredBuild(one))
	require.Equal(t, store.MirroredCiPipeline{
		UID: string(given.UID("ci")), Namespace: "default", Name: "ci", Application: "shop", Suspended: true, SpecHash: hash(pipeline.Spec),
	}, mirroredCiPipeline(pipeline))
	require.Equal(t, store.MirroredCdPipeline{
		UID: string(given.UID("web")), Namespace: "default", Name: "web", Application: "web", Environment: "staging",
		ParentKind: "CdPipeline", ParentName: "parent", Policy: "Latest", Suspended: true, Held: true, SpecHash: hash(child.Spec),
	}, mirroredCdPipeline(child))
}

func TestAHashIsThatOfTheSpecAlone(t *testing.T) {
	t.Parallel()
	same, other := given.CdPipeline("web"), given.CdPipeline("web", given.Priority(1))
	same.Name, same.Status.LastRun = "api", &v1alpha1.LastRun{}
	require.Equal(t, hash(given.CdPipeline("web").Spec), hash(same.Spec))
	require.NotEqual(t, hash(same.Spec), hash(other.Spec))
}

func TestAMirrorFollowsWhatComesChangesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.run(func() {
			b1, web := build("b1"), given.CdPipeline("web")
			d.add(ciBuild, b1)
			d.add(ciPipeline, ci())
			d.add(cdPipeline, web)
			settle()
			require.Equal(t, []string{"build b1 ", "cd web " + uidOf("web"), "ci ci"}, d.rows.names())

			before := b1.DeepCopy()
			b1.Status.Phase = v1alpha1.BuildSucceeded
			require.NoError(t, d.cluster.Update(t.Context(), b1))
			d.informers[ciBuild].Update(before, b1)
			settle()
			require.Equal(t, []string{"build b1 Succeeded", "cd web " + uidOf("web"), "ci ci"}, d.rows.names())

			d.remove(cdPipeline, web)
			settle()
			require.Equal(t, []string{"build b1 Succeeded", "ci ci"}, d.rows.names())
		})
	})
}

func TestAnObjectThatWasMadeAnewUnderItsNameIsAnother(t *testing.T) {
	t.Parallel()
	again := given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.UID = given.UID("again") })
	for sentence, happens := range map[string]func(*desk, *v1alpha1.CdPipeline){
		"as the watch tells": func(d *desk, web *v1alpha1.CdPipeline) {
			d.remove(cdPipeline, web)
			d.add(cdPipeline, again.DeepCopy())
		},
		"as an update tells after the watch was interrupted": func(d *desk, web *v1alpha1.CdPipeline) {
			require.NoError(d.t, d.cluster.Delete(d.t.Context(), web))
			require.NoError(d.t, d.cluster.Create(d.t.Context(), again.DeepCopy()))
			d.informers[cdPipeline].Update(web, again)
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.run(func() {
					web := given.CdPipeline("web")
					d.add(cdPipeline, web)
					settle()
					happens(d, web)
					settle()
					require.Equal(t, []string{"cd web " + uidOf("again")}, d.rows.names())
				})
			})
		})
	}
}

func TestOnlyWhatIsMirroredIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.run(func() {
			b1, web := build("b1"), given.CdPipeline("web")
			d.add(ciBuild, b1)
			d.add(cdPipeline, web)
			settle()
			before := d.rows.written()
			reported, noted := b1.DeepCopy(), web.DeepCopy()
			reported.Status.Triggers, noted.Status.LastRun = &v1alpha1.TriggerSummary{Total: 1}, &v1alpha1.LastRun{}
			d.informers[ciBuild].Update(b1, reported)
			d.informers[cdPipeline].Update(web, noted)
			d.handler(ciBuild).OnDelete(toolscache.DeletedFinalStateUnknown{Key: "default/b1", Obj: nil})
			settle()
			require.Equal(t, before, d.rows.written(), "our own status writes")
		})
	})
}

func TestChangesThatComeFastAreWrittenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.run(func() {
			for n := range groupSize {
				d.add(ciBuild, build(fmt.Sprintf("b%03d", n)))
			}
			settle()
			require.Len(t, d.rows.names(), groupSize)
			require.LessOrEqual(t, d.rows.written(), 2)
		})
	})
}

func TestADatabaseThatIsDownLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.run(func() {
			web := given.CdPipeline("web")
			d.add(cdPipeline, web)
			settle()
			d.rows.fail(true)
			d.add(ciBuild, build("b1"))
			d.remove(cdPipeline, web)
			time.Sleep(time.Minute)
			d.rows.fail(false)
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Equal(t, []string{"build b1 "}, d.rows.names())
		})
	})
}

func TestWhatHasGoneWhileNobodyLookedIsForgottenAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b1, web := build("b1"), given.CdPipeline("web")
		d := newDesk(t, b1, web, ci())
		d.rows.builds[string(b1.UID)] = mirroredBuild(b1)
		d.rows.cds[string(web.UID)] = mirroredCdPipeline(web)
		for n := range pageSize + 1 { // more than one page
			uid := fmt.Sprintf("gone-%05d", n)
			d.rows.builds[uid] = store.MirroredBuild{UID: uid, Name: uid}
		}
		d.run(settle)
		require.Equal(t, []string{"build b1 ", "cd web " + uidOf("web")}, d.rows.names(), "the others are not told by any informer here")
		require.Empty(t, d.lines)
	})
}

func TestAStartWhileTheDatabaseIsDownMirrorsAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.rows.fail(true)
		d.run(func() {
			require.Contains(t, d.lines[0], "deleted objects not looked for, the next start does it")
			d.rows.fail(false)
			d.add(ciBuild, build("b1"))
			settle()
			require.Equal(t, []string{"build b1 "}, d.rows.names())
		})
	})
}

func TestAReplicaThatStandsByWritesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	require.True(t, d.NeedLeaderElection())
	d.add(ciBuild, build("b1"))
	require.Zero(t, d.rows.written())
}

func TestWhatTheCacheCannotReadIsNotTakenForGone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Cache = failing{}
	err := d.write(t.Context(), []sighting{{kind: ciBuild, uid: "b1", key: types.NamespacedName{Name: "b1"}}})
	require.ErrorIs(t, err, errCache)
	require.Zero(t, d.rows.written())
}

// failing is a cache that has not started.
type failing struct{ client.Reader }

var errCache = errors.New("the cache is not started")

func (failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errCache
}
