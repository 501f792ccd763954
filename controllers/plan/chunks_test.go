package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// inChunks has the scene plan builds with more than so many pairs in chunks.
func (s *scene) inChunks(pairs int) *Chunks {
	s.Bounds = newBounds(pairs, 2*pairs)
	return NewChunks(s.Config, logr.Discard())
}

// largeScene is a build with a finished artifact and five children, which has begun to be
// planned two at a time; one chunk is committed.
func largeScene(t *testing.T) (*scene, *v1alpha1.CiBuild, *Chunks) {
	t.Helper()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build,
		given.CdPipeline("a", given.Priority(1)), given.CdPipeline("b", given.Priority(1)), given.CdPipeline("c"), given.CdPipeline("d"),
		given.CdPipeline("e"), given.CdPipeline("below-c", given.BelowCd("c")))
	chunks := s.inChunks(2)
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Equal(t, 1, s.large)
	require.Empty(t, s.table(decided))
	s.commits(chunks)
	require.Equal(t, []string{"a Triggered/Triggered", "b Triggered/Triggered"}, s.table(decided))
	require.NoError(t, s.look("b1"), "it is not planned a second time")
	require.Equal(t, 1, s.large)
	return s, build, chunks
}

// commits commits one chunk.
func (s *scene) commits(chunks *Chunks) {
	s.t.Helper()
	plans, err := s.store.OpenPlans(s.t.Context(), 1, nil)
	require.NoError(s.t, err)
	require.Len(s.t, plans, 1)
	require.NoError(s.t, chunks.step(s.t.Context(), plans[0]))
}

const open = "SELECT build_uid FROM plan"

// goOn commits what is left.
func goOn(t *testing.T, chunks *Chunks) {
	t.Helper()
	_, err := chunks.runOnce(t.Context())
	require.NoError(t, err)
}

func TestALargeBuildIsPlannedInChunks(t *testing.T) {
	t.Parallel()
	s, _, chunks := largeScene(t)
	require.Equal(t, []string{"a DEPLOY Pending", "b DEPLOY Pending"}, s.table(queued), "what is planned need not wait")
	require.Empty(t, s.table("SELECT build_name FROM ci_build WHERE planned_at IS NOT NULL"))
	s.unplanned = nil
	goOn(t, chunks)
	require.Equal(t, []string{
		"a Triggered/Triggered", "b Triggered/Triggered", "below-c Waiting/ParentRunning", "c Triggered/Triggered",
		"d Triggered/Triggered", "e Triggered/Triggered",
	}, s.table(decided))
	require.Len(t, s.table(queued), 5)
	require.Len(t, s.table("SELECT build_name FROM ci_build WHERE planned_at IS NOT NULL"), 1)
	require.Empty(t, s.table(open))
	require.Equal(t, []string{"b1"}, s.unplanned, "its status is written once all is committed")
	require.Equal(t, 4, s.woken)
}

func TestABuildThatFitsIsPlannedInOneTransaction(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"), given.CdPipeline("below", given.BelowCd("a")))
	s.inChunks(2)
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	require.Zero(t, s.large)
	require.Len(t, s.table(decided), 2)
}

func TestWhatChangesBetweenTwoChunks(t *testing.T) {
	t.Parallel()
	before := []string{"a Triggered/Triggered", "b Triggered/Triggered"}
	with := func(c, belowC string) []string {
		return append(append([]string{}, before...), "below-c "+belowC, "c "+c, "d Triggered/Triggered", "e Triggered/Triggered")
	}
	for sentence, tc := range map[string]struct {
		change func(*scene)
		want   []string
	}{
		"a pipeline that is deleted is skipped, and what is below it":    {deletes("c"), with("Skipped/PipelineDeleted", "Skipped/ParentNotTriggered")},
		"one that is hung elsewhere is skipped, and what is below it":    {moves("c", "a"), with("Skipped/ParentChanged", "Skipped/ParentNotTriggered")},
		"one that is added is not among the build's":                     {func(s *scene) { s.create(given.CdPipeline("f")) }, with("Triggered/Triggered", "Waiting/ParentRunning")},
		"one that is changed is decided on as it is now":                 {changes("c", given.Suspended), with("Skipped/Suspended", "Skipped/ParentNotTriggered")},
		"a build that is deleted is planned to its end: some of it runs": {deletesBuild("b1"), with("Triggered/Triggered", "Waiting/ParentRunning")},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s, _, chunks := largeScene(t)
			tc.change(s)
			goOn(t, chunks)
			require.Equal(t, tc.want, s.table(decided))
			require.Empty(t, s.table(open))
		})
	}
}

func deletesBuild(name string) func(*scene) {
	return func(s *scene) {
		s.t.Helper()
		build := given.CiBuild(name)
		build.Namespace = s.namespace
		require.NoError(s.t, s.cluster.Delete(s.t.Context(), build))
		require.Eventually(s.t, func() bool { return s.cache.Get(s.t.Context(), s.named(name), build) != nil }, patience, patience/1000)
	}
}

func changes(name string, change func(*v1alpha1.CdPipeline)) func(*scene) {
	return func(s *scene) {
		s.t.Helper()
		pipeline := &v1alpha1.CdPipeline{}
		require.NoError(s.t, s.cluster.Get(s.t.Context(), s.named(name), pipeline))
		change(pipeline)
		require.NoError(s.t, s.cluster.Update(s.t.Context(), pipeline))
		s.sees(pipeline)
	}
}

// The cache may be behind what the plan began with.
func TestAPipelineThatTheCacheDoesNotShowYetIsAskedForAtTheAPIServer(t *testing.T) {
	t.Parallel()
	s, _, _ := largeScene(t)
	s.Cache = without{s.cache, "c"}
	goOn(t, NewChunks(s.Config, logr.Discard()))
	require.Contains(t, s.table(decided), "c Triggered/Triggered")
}

func TestAPlanThatFailsKeepsNoOtherAndSaysWhy(t *testing.T) {
	t.Parallel()
	s, _, _ := largeScene(t)
	other := given.CiBuild("b2", given.BuildOf("other"))
	var objects []client.Object
	for n := range 3 {
		objects = append(objects, given.CdPipeline(fmt.Sprintf("other-%d", n), given.BelowCi("other")))
	}
	s.create(append(objects, other, given.CiPipeline("other"))...)
	s.finish(other, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b2"))
	broken := errors.New("etcdserver: request timed out")
	s.Cache = without{s.cache, "c"}
	s.failing(interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return broken
	}})
	_, err := NewChunks(s.Config, logr.Discard()).runOnce(t.Context())
	require.ErrorIs(t, err, broken)
	require.Len(t, s.table("SELECT build_name FROM ci_build WHERE planned_at IS NOT NULL"), 1)
	require.Contains(t, s.Troubles.Of(s.named("b1")), "etcdserver: request timed out: it is tried again after 5s at most by itself")
	require.Empty(t, s.Troubles.Of(s.named("b2")))
	require.NoError(t, s.look("b1"), "as whenever its status was written")
	require.NotEmpty(t, s.Troubles.Of(s.named("b1")), "its condition changes to and fro")

	s.Live = s.cluster
	goOn(t, NewChunks(s.Config, logr.Discard()))
	require.Empty(t, s.table(open))
	require.Empty(t, s.Troubles.Of(s.named("b1")))
}

func TestWhyABuildIsNotPlannedIsKnownUntilItIs(t *testing.T) {
	t.Parallel()
	build := given.CiBuild("b1")
	s := newScene(t, given.CiPipeline(given.CI), build, given.CdPipeline("a"))
	s.finish(build, v1alpha1.BuildSucceeded)
	s.failing(interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return errors.New("no answer")
	}})
	require.Error(t, s.look("b1"))
	require.Equal(t, "list pipelines below CiPipeline ci: no answer: it is tried again after 5s at most by itself", s.Troubles.Of(s.named("b1")))
	s.Live = s.cluster
	require.NoError(t, s.look("b1"))
	require.Empty(t, s.Troubles.Of(s.named("b1")))
}

func TestPairsAreBoundedAndWhatIsLargerGoesAlone(t *testing.T) {
	t.Parallel()
	bounds := newBounds(2, 4)
	release, err := bounds.take(t.Context(), 3)
	require.NoError(t, err)
	full, stop := context.WithCancel(t.Context())
	stop()
	_, err = bounds.take(full, 2)
	require.ErrorIs(t, err, context.Canceled, "it would be one too many")
	release()
	release, err = bounds.take(t.Context(), 1000)
	require.NoError(t, err)
	_, err = bounds.take(full, 1)
	require.ErrorIs(t, err, context.Canceled)
	release()
}

// The stages that end together go on below far more pipelines than one transaction takes.
func TestWhatFollowsIsCommittedInBoundedParts(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c"),
		given.CdPipeline("below-a", given.BelowCd("a")), given.CdPipeline("below-b", given.BelowCd("b")), given.CdPipeline("below-c", given.BelowCd("c")))
	counted := &parts{Rows: s.store}
	s.Rows, s.Bounds = counted, newBounds(1, 2)
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Equal(t, []int{1, 1, 1}, counted.sizes)
	require.Equal(t, []string{"below-a DEPLOY Pending", "below-b DEPLOY Pending", "below-c DEPLOY Pending"}, s.table(queued))
}

// parts are tables that note how many ended stages each transaction follows.
type parts struct {
	Rows
	sizes []int
}

func (p *parts) Follow(ctx context.Context, consequences []store.Consequence) error {
	p.sizes = append(p.sizes, len(consequences))
	return p.Rows.Follow(ctx, consequences)
}

// broken are tables of which the chunks of some builds can't be read, or worse.
type broken struct{ Rows }

func (b broken) NextChunk(ctx context.Context, build string, most int) ([]store.PlanPipeline, error) {
	switch {
	case build == "bad-1":
		panic("a chunk that nobody has thought of")
	case strings.HasPrefix(build, "bad-"):
		return nil, errors.New("no chunk")
	}
	return b.Rows.NextChunk(ctx, build, most)
}

func TestManyPlansThatFailKeepNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, statement := range []string{
		`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase, created_at)
		 SELECT uid, 'default', uid, uid, '', 'Push', 'Succeeded', now() FROM (SELECT 'bad-' || n AS uid FROM generate_series(1, 100) n UNION ALL SELECT 'good') b`,
		`INSERT INTO plan (build_uid, namespace, ci_pipeline, suspended, moved_at)
		 SELECT build_uid, namespace, ci_pipeline, false, CASE build_name WHEN 'good' THEN now() ELSE 'epoch' END FROM ci_build`,
	} {
		_, err := s.store.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	s.Rows = broken{s.store}
	_, err := NewChunks(s.Config, logr.Discard()).runOnce(t.Context())
	require.ErrorContains(t, err, "no chunk")
	require.Equal(t, []string{"good"}, s.table("SELECT build_uid FROM ci_build WHERE planned_at IS NOT NULL"))
}

// hostile is a cache that panics.
type hostile struct{ client.Reader }

func (hostile) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	panic("an object that nobody has thought of")
}

func TestAPanicGivesBackWhatItHasOfTheBounds(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("a"))
	s.end(store.StatusSucceeded)
	s.Cache = hostile{s.cache}
	require.Panics(t, func() { _, _ = s.follower().runOnce(t.Context()) })
	require.True(t, s.Bounds.free.TryAcquire(mostPairs), "after three of them nothing would be planned any more")
}
