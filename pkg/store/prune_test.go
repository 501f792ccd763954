package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// retention is for how long the tests keep history.
const retention = 90 * 24 * time.Hour

// historyTables are those that history is pruned in.
var historyTables = []string{"event", "deployed", "cd_workflow", "cd_workflow_runner", "task", "trigger_decision", "turn", "ci_artifact", "ci_build"}

// prune goes over all parts once, and returns how many rows it deleted.
func prune(t *testing.T, s *store.Store) int64 {
	t.Helper()
	var deleted int64
	for _, part := range store.Histories() {
		for page := (store.PrunedPage{More: true}); page.More; {
			var err error
			page, err = s.Prune(t.Context(), part, page.Last, retention)
			require.NoError(t, err)
			deleted += page.Deleted
		}
	}
	return deleted
}

// age makes all that the tables hold so many days older.
func age(t *testing.T, s *store.Store, days int) {
	t.Helper()
	for table, columns := range map[string][]string{
		"event": {"at"}, "deployed": {"at"}, "cd_workflow": {"created_at", "finished_at"}, "trigger_decision": {"decided_at"},
		"task": {"created_at", "finished_at", "settled_at", "changed_at"}, "turn": {"created_at", "ended_at"},
		"ci_artifact": {"created_at"}, "ci_build": {"created_at", "deleted_at"}, "cd_pipeline": {"deleted_at"},
	} {
		for _, column := range columns {
			execute(t, s, fmt.Sprintf("UPDATE %s SET %s = %[2]s - interval '%d days'", table, column, days))
		}
	}
}

// succeeded plans builds one after the other, all of which succeed in the family.
func succeeded(t *testing.T, s *store.Store, family given.Family, builds ...int) {
	t.Helper()
	for _, build := range builds {
		plannedBuild(t, s, builtAt(fmt.Sprintf("b%d", build), build), given.Artifacts(1), family)
		drain(t, s, family, store.StatusSucceeded)
	}
}

// gone notes that builds have no CiBuild any more.
func gone(t *testing.T, s *store.Store, builds ...int) {
	t.Helper()
	for _, build := range builds {
		execute(t, s, "UPDATE ci_build SET deleted_at = now() WHERE build_name = $1", fmt.Sprintf("b%d", build))
	}
}

func TestHistoryThatIsOldAndThatNobodyNeedsIsPruned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithPre))
	succeeded(t, s, family, 1, 2, 3, 4)
	gone(t, s, 1, 2, 3, 4)
	require.Zero(t, prune(t, s), "all is young")
	age(t, s, 91)
	require.Positive(t, prune(t, s))
	// What is deployed, and what was before, are what a rollback needs.
	require.Equal(t, []string{"b3", "b4"}, table(t, s, "SELECT build_name FROM ci_build ORDER BY seq"))
	require.Equal(t, []string{"b3", "b4"}, table(t, s, "SELECT b.build_name FROM cd_workflow w JOIN ci_build b USING (build_uid) ORDER BY w.id"))
	require.Equal(t, 4, count(t, s, "task"))
	require.Equal(t, 2, count(t, s, "turn"))
	require.Equal(t, 1, count(t, s, "trigger_decision"), "the pipeline's last decision is part of its status")
	require.Zero(t, count(t, s, "event"))
	require.Zero(t, prune(t, s), "nothing is left to prune")
	before, deployed, err := s.DeployedBefore(t.Context(), store.PipelineRef{UID: string(family[0].UID), Namespace: given.Namespace})
	require.NoError(t, err)
	require.Equal(t, "b4", deployed)
	require.Equal(t, "b3", before.Name)
}

func TestHistoryThatIsNeededStays(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		arrange func(t *testing.T, s *store.Store, family given.Family)
		builds  []string
	}{
		"of a build whose CiBuild exists": {
			arrange: func(t *testing.T, s *store.Store, family given.Family) {
				t.Helper()
				succeeded(t, s, family, 1, 2, 3, 4)
				gone(t, s, 2, 3, 4)
				age(t, s, 91)
			},
			builds: []string{"b1", "b3", "b4"},
		},
		"of a run that goes on": {
			arrange: func(t *testing.T, s *store.Store, family given.Family) {
				t.Helper()
				succeeded(t, s, family, 2, 3, 4)
				plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
				claim(t, s, "w", 1)
				gone(t, s, 1, 2, 3, 4)
				age(t, s, 91)
			},
			builds: []string{"b1", "b3", "b4"},
		},
		"of a build that is gone, but not for long": {
			arrange: func(t *testing.T, s *store.Store, family given.Family) {
				t.Helper()
				succeeded(t, s, family, 1, 2, 3, 4)
				age(t, s, 91)
				gone(t, s, 1, 2, 3, 4)
			},
			builds: []string{"b1", "b2", "b3", "b4"},
		},
		"of what was rolled back to, and what comes before that": {
			arrange: func(t *testing.T, s *store.Store, family given.Family) {
				t.Helper()
				succeeded(t, s, family, 1, 2, 3, 4)
				execute(t, s, `UPDATE deployed SET run_id = (SELECT w.id FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b3')`)
				gone(t, s, 1, 2, 3, 4)
				age(t, s, 91)
			},
			builds: []string{"b2", "b3", "b4"},
		},
		"but not of a pipeline that is gone": {
			arrange: func(t *testing.T, s *store.Store, family given.Family) {
				t.Helper()
				succeeded(t, s, family, 1, 2)
				gone(t, s, 1, 2)
				execute(t, s, "UPDATE cd_pipeline SET deleted_at = now()")
				age(t, s, 91)
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			c.arrange(t, s, given.FamilyOf(given.CdPipeline("web", unordered)))
			prune(t, s)
			require.ElementsMatch(t, c.builds, table(t, s, "SELECT build_name FROM ci_build"))
			if len(c.builds) == 0 {
				for _, name := range historyTables {
					require.Zero(t, count(t, s, name), name)
				}
			}
		})
	}
}

func TestTheLastChangeOfAClusterStays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	execute(t, s, `INSERT INTO cluster_event (cluster_uid, cluster, phase, reason, occurred_at)
		SELECT u, u, p, p, now() - interval '91 days' FROM unnest(ARRAY['a', 'b']) u, unnest(ARRAY['Healthy', 'Unreachable']) WITH ORDINALITY AS o(p, n) ORDER BY n`)
	require.EqualValues(t, 2, prune(t, s))
	require.Equal(t, []string{"a Unreachable", "b Unreachable"}, table(t, s, "SELECT cluster, phase FROM cluster_event ORDER BY 1"))
}

func TestOnlyHistoryOfNamespacesThatAreWatchedIsPruned(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	all := openStore(t, config)
	succeeded(t, all, given.FamilyOf(given.CdPipeline("web", unordered)), 1, 2, 3)
	gone(t, all, 1, 2, 3)
	age(t, all, 91)
	config.Namespaces = []string{"another"}
	require.Zero(t, prune(t, openStore(t, config)))
	config.Namespaces = []string{given.Namespace}
	require.Positive(t, prune(t, openStore(t, config)))
}

func TestAPageOfHistoryIsSmallHoweverMuchIsOld(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	execute(t, s, `INSERT INTO event (at, kind, namespace, state) SELECT now() - interval '91 days', 'Task', 'shop', 'Pending' FROM generate_series(1, 2500)`)
	var pages []int64
	for page := (store.PrunedPage{More: true}); page.More; {
		var err error
		page, err = s.Prune(t.Context(), store.HistoryEvents, page.Last, retention)
		require.NoError(t, err)
		pages = append(pages, page.Deleted)
	}
	require.Equal(t, []int64{1000, 1000, 500}, pages)
}
