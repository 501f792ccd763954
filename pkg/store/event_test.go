package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// eventsSince are the events that were written since the last call.
func eventsSince(t *testing.T, s *store.Store, last *int64) []string {
	t.Helper()
	lines := table(t, s, `SELECT e.kind, e.build_name, e.pipeline, e.stage, e.state, e.reason FROM event e WHERE e.id > $1 ORDER BY e.pipeline, e.run_id, e.id`, *last)
	*last = number(t, table(t, s, "SELECT COALESCE(max(id), 0) FROM event")[0])
	return lines
}

func TestEachTransitionAndDecisionIsOneEvent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(
		given.CdPipeline("a", given.WithPost, given.WithRetries(1, 0), given.ManualStage("POST")), given.CdPipeline("b", given.BelowCd("a")), given.CdPipeline("off", given.Suspended))
	none := []string{}
	var last int64
	var row store.Claim
	tell := func(as store.Status, reason v1alpha1.Reason) {
		_, err := s.Complete(t.Context(), "w", []store.Completion{{ID: row.ID, Attempt: row.Attempt, Status: as, Reason: reason}})
		require.NoError(t, err)
	}
	for _, step := range []struct {
		sentence string
		act      func()
		want     []string
	}{
		{"a plan", func() { planned(t, s, "b1", family) }, []string{
			"Decision b1 a  Triggered Triggered", "Task b1 a DEPLOY Pending ", "Decision b1 b  Waiting ParentRunning", "Decision b1 off  Skipped Suspended",
		}},
		{"the same plan again", func() {
			_, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), given.Artifacts(1), family))
			require.NoError(t, err)
		}, none},
		{"a second plan, which waits for its turn", func() { planned(t, s, "b2", family[:1]) }, []string{
			"Decision b2 a  Triggered Triggered", "Task b2 a DEPLOY Held Turn",
		}},
		{"a claim, which is a lease", func() { row = claim(t, s, "w", 1)[0] }, none},
		{"a task that is given back without a reason", func() { tell(store.StatusPending, "") }, none},
		{"a task that is given back with a reason", func() { row = claim(t, s, "w", 1)[0]; tell(store.StatusPending, v1alpha1.ReasonSubmissionDelayed) }, []string{
			"Task b1 a DEPLOY Pending SubmissionDelayed",
		}},
		{"a lease that runs out", func() {
			row = claim(t, s, "w", 1)[0]
			execute(t, s, "UPDATE task SET lease_until = now() - interval '1 s' WHERE status = 'Submitting'")
			_, err := s.ReclaimExpired(t.Context())
			require.NoError(t, err)
		}, none},
		{"a Workflow that is created", func() { row = claim(t, s, "w", 1)[0]; tell(store.StatusSubmitted, "") }, []string{"Task b1 a DEPLOY Submitted "}},
		{"the same told again", func() { tell(store.StatusSubmitted, "") }, none},
		{"a Workflow that fails", func() { observe(t, s, row, store.StatusFailed) }, []string{"Task b1 a DEPLOY Failed "}},
		{"the same seen again, and less", func() {
			_, err := s.Observe(t.Context(), []store.Observation{seen(row, store.StatusFailed), {Gone: row.ID}})
			require.NoError(t, err)
			_, err = s.Observe(t.Context(), []store.Observation{seen(row, store.StatusRunning)})
			require.NoError(t, err)
		}, none},
		{"a retry", func() { followAll(t, s, family) }, []string{"Task b1 a DEPLOY Pending "}},
		{"a stage that succeeds", func() { endActive(t, s, store.StatusSucceeded) }, []string{"Task b1 a DEPLOY Succeeded "}},
		{"the next stage, which yields the turn to a newer build", func() { followAll(t, s, family) }, []string{
			"Task b1 a POST Held Person", "Task b1 a POST Superseded Superseded", "Task b2 a DEPLOY Pending ",
		}},
		{"the end of a run, and what it means below", func() { followAll(t, s, family) }, []string{"Run b1 a  Superseded ", "Decision b1 b  Skipped ParentNotTriggered"}},
		{"nothing to follow", func() { followAll(t, s, family) }, none},
		{"what waits is cancelled", func() {
			_, err := s.CancelWaiting(t.Context(), string(given.UID("a")), v1alpha1.ReasonSuspended, "spec.suspend is true")
			require.NoError(t, err)
		}, []string{"Task b2 a DEPLOY Cancelled Suspended"}},
		{"the end of a run that had another stage", func() { followAll(t, s, family[:1]) }, []string{
			"Task b2 a POST Cancelled StageBeforeFailed", "Run b2 a  Cancelled ",
		}},
	} {
		step.act()
		require.Equal(t, step.want, eventsSince(t, s, &last), step.sentence)
	}
}

func TestAnEventNamesTheObjectsItBelongsTo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	planned(t, s, "b1", family)
	cancelRun(t, s, family)
	uid := string(given.UID("web"))
	require.Equal(t, []string{
		"Task default b1 web " + uid + " 1 1 DEPLOY Pending   ",
		"Decision default b1 web " + uid + " 0 0  Triggered Triggered by build b1 ",
		"Task default b1 web " + uid + " 1 1 DEPLOY Cancelled Cancelled cancelled by somebody: not now somebody",
	}, table(t, s, "SELECT kind, namespace, build_name, pipeline, pipeline_uid, run_id, task_id, stage, state, reason, message, actor FROM event WHERE kind <> 'Request' ORDER BY id"))
	require.Zero(t, count(t, s, "event WHERE xid::text <> xmin::text"), "the transaction that wrote it")
}

// read reads all events after the cursor that can be read now, a few at a time, and moves it.
func read(t testing.TB, s *store.Store, after *store.Cursor) []string {
	t.Helper()
	var all []string
	for {
		events, next, err := s.Events(t.Context(), *after, 3)
		require.NoError(t, err)
		*after = next
		for _, event := range events {
			all = append(all, event.Namespace+"/"+event.BuildName+"/"+event.Pipeline)
		}
		if len(events) == 0 {
			return all
		}
	}
}

// readUntil reads until there are n events, and once more: any transaction that is open,
// of another test's database too, keeps later events back.
func readUntil(t testing.TB, s *store.Store, after *store.Cursor, n int) []string {
	t.Helper()
	var all []string
	require.Eventually(t, func() bool {
		all = append(all, read(t, s, after)...)
		return len(all) >= n
	}, time.Minute, 5*time.Millisecond)
	return append(all, read(t, s, after)...)
}

func TestAReaderOfEventsReadsEachOnceFromWhereItBegan(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 4}
	s := openStore(t, config)
	config.Namespaces = []string{"another"}
	elsewhere := openStore(t, config)
	after, err := s.EventsFromNow(t.Context())
	require.NoError(t, err)
	others := after
	require.Empty(t, read(t, s, &after))
	for _, build := range []string{"b1", "b2"} {
		planned(t, s, build, given.CdPipelines(4, "web", unordered))
		var want []string
		for range 2 { // a task and a decision of each
			for i := range 4 {
				want = append(want, fmt.Sprintf("default/%s/web-%03d", build, i))
			}
		}
		require.Equal(t, want, readUntil(t, s, &after, len(want)))
	}
	for _, event := range read(t, elsewhere, &others) {
		require.Equal(t, "//", event, "what is of other namespaces is empty")
	}
	require.Equal(t, after, others, "and passed")
	from, err := s.EventsFromNow(t.Context())
	require.NoError(t, err)
	require.NoError(t, writeEvent(t, s, "b3").Commit(t.Context()))
	require.Contains(t, readUntil(t, s, &from, 1), "n/b3/")
}

// writeEvent writes an event in a transaction that is still open.
func writeEvent(t testing.TB, s *store.Store, name string) pgx.Tx {
	t.Helper()
	tx, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO event (kind, namespace, build_name, state) VALUES ('Task', 'n', $1, 'x')", name)
	require.NoError(t, err)
	return tx
}

func TestEventsOfTransactionsThatCommitOutOfOrderAreNotMissed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	after, err := s.EventsFromNow(t.Context())
	require.NoError(t, err)
	first, second, third := writeEvent(t, s, "first"), writeEvent(t, s, "second"), writeEvent(t, s, "third")
	require.NoError(t, third.Commit(t.Context()))
	require.Empty(t, read(t, s, &after), "an earlier one may still come")
	require.NoError(t, second.Rollback(t.Context()))
	require.Empty(t, read(t, s, &after))
	require.NoError(t, first.Commit(t.Context()))
	require.Equal(t, []string{"n/first/", "n/third/"}, readUntil(t, s, &after, 2))
}

func TestAReaderThatBeginsWhileTransactionsAreOpenReadsTheirEvents(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	open := writeEvent(t, s, "open")
	done := writeEvent(t, s, "done")
	require.NoError(t, done.Commit(t.Context()))
	after, err := s.EventsFromNow(t.Context())
	require.NoError(t, err)
	require.NoError(t, open.Commit(t.Context()))
	require.Equal(t, []string{"n/open/", "n/done/"}, readUntil(t, s, &after, 2), "done is told once more, rather than never")
}

func TestNoEventIsMissedOrReadTwiceWhileManyAreWritten(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	after, err := s.EventsFromNow(t.Context())
	require.NoError(t, err)
	const writers, each = 6, 40
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := range each {
				err := pgx.BeginFunc(t.Context(), s.Pool(), func(tx pgx.Tx) error {
					// Several of one transaction, with a pause between them and its commit.
					_, err := tx.Exec(t.Context(), "INSERT INTO event (kind, namespace, build_name, state) SELECT 'Task', 'n', $1 || n, 'x' FROM generate_series(1, 2) n",
						fmt.Sprintf("%d-%d-", writer, i))
					if err != nil {
						return err
					}
					_, err = tx.Exec(t.Context(), "SELECT pg_sleep($1)", rand.Float64()/100)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	var all []string
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(time.Millisecond):
		}
		all = append(all, read(t, s, &after)...)
	}
	all = append(all, readUntil(t, s, &after, 2*writers*each-len(all))...)
	slices.Sort(all)
	written := table(t, s, "SELECT 'n/' || build_name || '/' FROM event")
	slices.Sort(written)
	require.Len(t, written, 2*writers*each)
	require.Equal(t, written, all)
}
