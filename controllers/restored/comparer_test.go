package restored

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// table knows no run; it fails so many times first.
type table struct {
	fails   int
	refuses bool
	noted   []store.LostRun
	largest int // the most runs that were asked for at once
}

func (t *table) Planned(context.Context, []string) ([]string, error) {
	if t.fails > 0 {
		t.fails--
		return nil, errors.New("no database")
	}
	return nil, nil
}

func (t *table) LostRuns(_ context.Context, told []store.LostRun) ([]store.LostRun, error) {
	t.largest = max(t.largest, len(told))
	return told, nil
}

func (t *table) NoteLost(_ context.Context, lost store.LostRun) error {
	if t.refuses {
		return fmt.Errorf("note lost run: %w", &pgconn.PgError{Code: "22021"})
	}
	t.noted = append(t.noted, lost)
	return nil
}

// ran is a pipeline whose status tells of a run of a build.
func ran(name, build string, run int64) *v1alpha1.CdPipeline {
	return given.CdPipeline(name, func(p *v1alpha1.CdPipeline) {
		p.Status.LastRun = &v1alpha1.LastRun{
			Run: run, BuildName: build, Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest, At: metav1.NewTime(time.Unix(2000, 0)),
		}
	})
}

func comparing(t *testing.T, rows *table) (*Comparer, *events.FakeRecorder) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	created := func(at int64) func(*v1alpha1.CiBuild) {
		return func(b *v1alpha1.CiBuild) {
			b.CreationTimestamp = metav1.NewTime(time.Unix(at, 0))
			b.Status = v1alpha1.CiBuildStatus{
				Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(2), Conditions: []metav1.Condition{{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionTrue}},
			}
		}
	}
	recorder := events.NewFakeRecorder(10)
	return New(Config{
		Cache: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(
			given.CiBuild("b1", created(1000)), given.CiBuild("b2", created(3000)), given.CiBuild("runs", created(1000), running),
			ran("web", "b1", 7), ran("rebuilt", "runs", 6), ran("gone", "nothing", 8), ran("renewed", "b2", 9), ran("old", "b1", 0), ran("endless", "b1", math.MaxInt64), ran("negative", "b1", -1), given.CdPipeline("never"))...).Build(),
		Rows: rows, Events: recorder, Log: logr.Discard(),
	}), recorder
}

func running(b *v1alpha1.CiBuild) { b.Status = v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildRunning} }

func TestOnlyALastRunOfABuildThatExistsIsCompared(t *testing.T) {
	t.Parallel()
	rows := &table{}
	c, recorder := comparing(t, rows)
	require.NoError(t, c.Compared(t.Context()))
	require.NoError(t, c.Compared(t.Context()), "once")
	require.Len(t, rows.noted, 1)
	require.Equal(t, "web", rows.noted[0].Pipeline.Name)
	require.Equal(t, "b1", rows.noted[0].Build.Name)
	require.EqualValues(t, 7, rows.noted[0].Run)
	require.ElementsMatch(t, given.Artifacts(2), rows.noted[0].Artifacts, "what came of the build's other artifacts is not known")
	require.Contains(t, <-recorder.Events, "RecordsLost The database knows nothing of run 7 of build b1")
}

func TestNobodyGoesOnBeforeTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := comparing(t, &table{fails: 3})
		began := time.Now()
		require.NoError(t, c.Compared(t.Context()))
		require.Equal(t, 3*again, time.Since(began))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		c, _ = comparing(t, &table{fails: 1})
		require.ErrorIs(t, c.Compared(ended), context.Canceled)
	})
}

func TestAStatusThatTheDatabaseRefusesKeepsNothingFromBeingPlanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rows := &table{refuses: true}
		c, _ := comparing(t, rows)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, c.Compared(ctx))
	})
}

// sharing is a cache that counts the reads whose answer is a copy.
type sharing struct {
	client.Reader
	copies int
}

func (s *sharing) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	asked := (&client.GetOptions{}).ApplyOptions(options)
	s.count(asked.UnsafeDisableDeepCopy)
	return s.Reader.Get(ctx, key, object, options...)
}

func (s *sharing) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	s.count(asked.UnsafeDisableDeepCopy)
	return s.Reader.List(ctx, list, options...)
}

func (s *sharing) count(shares *bool) {
	if shares == nil || !*shares {
		s.copies++
	}
}

// A start reads all that there is: a copy of it would be as large as the cache.
func TestTheCacheIsComparedInPagesAndNotCopied(t *testing.T) {
	t.Parallel()
	rows := &table{}
	c, _ := comparing(t, rows)
	writer := c.Cache.(client.Client)
	for i := range pageSize + 1 {
		require.NoError(t, writer.Create(t.Context(), ran(fmt.Sprintf("more-%d", i), "b1", int64(i+10))))
	}
	cache := &sharing{Reader: c.Cache}
	c.Cache, c.Events = cache, &events.FakeRecorder{}
	require.NoError(t, c.Compared(t.Context()))
	require.Len(t, rows.noted, pageSize+2)
	require.LessOrEqual(t, rows.largest, pageSize)
	require.Zero(t, cache.copies)
}
