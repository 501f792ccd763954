package report

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/store"
)

const feedPatience = 15 * time.Second

// follower is a feed before a real database, and what it has marked.
type follower struct {
	*Feed
	t     *testing.T
	store *store.Store

	mu     sync.Mutex
	builds []string
}

func newFollower(t *testing.T, namespaces ...string) *follower {
	t.Helper()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: "penstock", MaxConns: 20, Namespaces: namespaces}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	f := &follower{t: t, store: rows}
	f.Feed = newFeed(rows, f.note, logr.Discard())
	return f
}

func (f *follower) note(builds, _ []types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, build := range builds {
		f.builds = append(f.builds, build.Name)
	}
}

// marked are the builds so far, in the order in which they were marked.
func (f *follower) marked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.builds)
}

func (f *follower) begin() pgx.Tx {
	f.t.Helper()
	tx, err := f.store.Pool().Begin(f.t.Context())
	require.NoError(f.t, err)
	return tx
}

const insertEvent = `INSERT INTO event (kind, namespace, build_name, state) VALUES ('Task', $1, $2, 'Pending')`

func (f *follower) write(tx pgx.Tx, build string) {
	f.t.Helper()
	_, err := tx.Exec(f.t.Context(), insertEvent, "default", build)
	require.NoError(f.t, err)
}

func (f *follower) commit(tx pgx.Tx) {
	f.t.Helper()
	require.NoError(f.t, tx.Commit(f.t.Context()))
}

// look reads once what there is.
func (f *follower) look() {
	f.t.Helper()
	_, err := f.runOnce(f.t.Context())
	require.NoError(f.t, err)
}

// marks looks until these builds are marked: whoever else uses the server may hold events
// back.
func (f *follower) marks(builds ...string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		f.look()
		return len(f.marked()) >= len(builds)
	}, feedPatience, 5*time.Millisecond, "marked are %v", f.marked())
	require.Equal(f.t, builds, f.marked())
}

func TestAFeedMissesNothingWhenTransactionsCommitOutOfOrder(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	f.look()
	first, second, third := f.begin(), f.begin(), f.begin()
	f.write(first, "first")
	f.write(second, "second")
	f.write(third, "third")
	f.commit(third)
	f.look()
	f.commit(second)
	f.look()
	require.Empty(t, f.marked(), "an earlier one may still come")
	f.commit(first)
	f.marks("first", "second", "third")
	f.look()
	f.marks("first", "second", "third")
}

// A transaction that began first may write last.
func TestAFeedMissesNothingOfATransactionThatWritesLate(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	f.look()
	early, late := f.begin(), f.begin()
	f.write(early, "early") // and so has the lower number
	f.write(late, "late")
	f.commit(late)
	f.write(early, "early-again")
	f.look()
	f.commit(early)
	f.marks("early", "early-again", "late")
}

// The reporter reads the tables once the feed says that it has started: what was under way
// then is seen by neither, or by both.
func TestAFeedBeginsBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	underWay, broken := f.begin(), f.begin()
	f.write(underWay, "under-way")
	f.write(broken, "broken")
	f.look()
	<-f.Started()
	f.commit(underWay)
	require.NoError(t, broken.Rollback(t.Context()))
	after := f.begin()
	f.write(after, "after")
	f.commit(after)
	f.marks("under-way", "after")
}

func TestAFeedTellsOfItsOwnNamespacesAlone(t *testing.T) {
	t.Parallel()
	f := newFollower(t, "default")
	f.look()
	for _, namespace := range []string{"other", "default"} {
		_, err := f.store.Pool().Exec(t.Context(), insertEvent, namespace, "of-"+namespace)
		require.NoError(t, err)
	}
	f.marks("of-default")
}

// It is what the cursor costs: whoever leaves a transaction open holds back every status,
// also in another database of the server.
func TestATransactionThatStaysOpenHoldsEventsBackAndLosesNone(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	f.look()
	for i, url := range []string{f.store.Pool().Config().ConnString(), postgres.NewTestDatabase(t)} {
		somebody, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		open, err := somebody.Begin(t.Context())
		require.NoError(t, err)
		_, err = open.Exec(t.Context(), `CREATE TABLE public.somebody ()`)
		require.NoError(t, err)
		tx := f.begin()
		f.write(tx, fmt.Sprint(i))
		f.commit(tx)
		f.look()
		require.Len(t, f.marked(), i)
		require.NoError(t, open.Rollback(t.Context()))
		require.NoError(t, somebody.Close(t.Context()))
		f.marks([]string{"0", "1"}[:i+1]...)
	}
}

func TestAFeedThatRunsMarksEachOfManyEventsOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 50
	f := newFollower(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	<-f.Started()
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for n := range each {
				if err := f.writeSlowly(fmt.Sprintf("%d-%02d", writer, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.Eventually(t, func() bool { return len(f.marked()) >= writers*each }, feedPatience, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	marked := f.marked()
	slices.Sort(marked)
	require.Len(t, slices.Compact(marked), writers*each)
	require.Len(t, f.marked(), writers*each, "one is marked twice")
}

// writeSlowly commits an event a moment after it was written.
func (f *follower) writeSlowly(build string) error {
	return pgx.BeginFunc(f.t.Context(), f.store.Pool(), func(tx pgx.Tx) error {
		_, err := tx.Exec(f.t.Context(), insertEvent, "default", build)
		f.Wake()
		time.Sleep(rand.N(5 * time.Millisecond))
		return err
	})
}
