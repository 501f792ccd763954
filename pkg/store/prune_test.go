package store_test

import (
	"fmt"
	"slices"
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
		"task": {"created_at", "finished_at", "settled_at", "changed_at"}, "turn": {"built_at", "created_at", "ended_at"},
		"ci_artifact": {"created_at"}, "ci_build": {"created_at", "deleted_at"}, "cd_pipeline": {"deleted_at"},
	} {
		for _, column := range columns {
			execute(t, s, fmt.Sprintf("UPDATE %s SET %s = %[2]s - interval '%d days'", table, column, days))
		}
	}
}

// ended plans builds one after the other, all of which end so in the family.
func ended(t *testing.T, s *store.Store, family given.Family, how store.Status, builds ...int) {
	t.Helper()
	for _, build := range builds {
		plannedBuild(t, s, builtAt(fmt.Sprintf("b%d", build), build), given.Artifacts(1), family)
		drain(t, s, family, how)
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
	ended(t, s, family, store.StatusSucceeded, 1, 2, 3, 4)
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

// Builds 1 to 4 have succeeded, in this order, before what else happened.
func TestHistoryThatIsNeededStays(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		// then happens after the four have succeeded, and late when all of it is old.
		then, late func(t *testing.T, s *store.Store, family given.Family)
		// exist are builds whose CiBuild exists; that of all others is gone as long.
		exist []int
		want  []string
	}{
		"of what is deployed, and of what was before": {want: []string{"b3", "b4"}},
		"of a build whose CiBuild exists":             {exist: []int{1}, want: []string{"b1", "b3", "b4"}},
		"of a build that is gone, but not for long": {
			exist: []int{1, 2, 3, 4}, late: func(t *testing.T, s *store.Store, _ given.Family) { gone(t, s, 1, 2, 3, 4) }, want: []string{"b1", "b2", "b3", "b4"},
		},
		"of the last run, which failed": {
			then: func(t *testing.T, s *store.Store, family given.Family) { ended(t, s, family, store.StatusFailed, 5, 6) }, want: []string{"b3", "b4", "b6"},
		},
		"of a run that goes on": {
			then: func(t *testing.T, s *store.Store, family given.Family) {
				plannedBuild(t, s, builtAt("b5", 5), given.Artifacts(1), family)
				claim(t, s, "w", 1)
				execute(t, s, "UPDATE cd_pipeline SET last_run_id = NULL") // that alone does not keep it
			},
			want: []string{"b3", "b4", "b5"},
		},
		"of what was rolled back to, and of what came before that": {
			then: func(t *testing.T, s *store.Store, _ given.Family) {
				execute(t, s, `UPDATE deployed SET run_id = (SELECT w.id FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b3')`)
			},
			want: []string{"b2", "b3", "b4"},
		},
		"of what one repository was rolled back to, and of what came before that": {
			then: func(t *testing.T, s *store.Store, _ given.Family) {
				execute(t, s, `INSERT INTO deployed (pipeline_uid, repository, run_id, image, digest, build_name, at)
					SELECT w.pipeline_uid, 'another', w.id, '', '', b.build_name, now() + interval '1 s' FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = 'b3'`)
			},
			want: []string{"b2", "b3", "b4"},
		},
		"of each pipeline on its own": {
			then: func(t *testing.T, s *store.Store, _ given.Family) {
				ended(t, s, given.FamilyOf(given.CdPipeline("api", unordered)), store.StatusSucceeded, 5, 6, 7)
			},
			want: []string{"b3", "b4", "b6", "b7"},
		},
		"of a pipeline that is gone, but not for long": {
			late: func(t *testing.T, s *store.Store, _ given.Family) {
				execute(t, s, "UPDATE cd_pipeline SET deleted_at = now()")
			}, want: []string{"b3", "b4"},
		},
		"but not of a pipeline that is gone": {
			then: func(t *testing.T, s *store.Store, _ given.Family) {
				execute(t, s, "UPDATE cd_pipeline SET deleted_at = now()")
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s, family := newStore(t), given.FamilyOf(given.CdPipeline("web", unordered))
			ended(t, s, family, store.StatusSucceeded, 1, 2, 3, 4)
			if c.then != nil {
				c.then(t, s, family)
			}
			for build := 1; build <= 7; build++ {
				if !slices.Contains(c.exist, build) {
					gone(t, s, build)
				}
			}
			age(t, s, 91)
			if c.late != nil {
				c.late(t, s, family)
			}
			prune(t, s)
			require.ElementsMatch(t, c.want, table(t, s, "SELECT build_name FROM ci_build"))
			require.Zero(t, prune(t, s), "a second round finds something")
			if len(c.want) == 0 {
				for _, name := range historyTables {
					require.Zero(t, count(t, s, name), name)
				}
			}
		})
	}
}

// A decision is history of its own: here nothing was triggered.
func TestDecisionsArePrunedButForTheLastOfEachPipeline(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.Suspended))
	for build := 1; build <= 3; build++ {
		plannedBuild(t, s, builtAt(fmt.Sprintf("b%d", build), build), given.Artifacts(2), family)
	}
	execute(t, s, "INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline) SELECT DISTINCT pipeline_uid, namespace, pipeline FROM trigger_decision ON CONFLICT DO NOTHING")
	gone(t, s, 1, 2, 3)
	age(t, s, 91)
	require.Positive(t, prune(t, s))
	require.Equal(t, []string{"b3", "b3"}, table(t, s, "SELECT build_name FROM trigger_decision"))
	require.Equal(t, []string{"b3"}, table(t, s, "SELECT build_name FROM ci_build"))
	require.Zero(t, count(t, s, "event"))
}

// The CiBuild of b1 exists: it is known to be planned, however often all else is pruned.
func TestABuildThatExistsIsNotPlannedAgain(t *testing.T) {
	t.Parallel()
	s, family := newStore(t), given.FamilyOf(given.CdPipeline("web", unordered))
	ended(t, s, family, store.StatusSucceeded, 1, 2, 3, 4)
	gone(t, s, 2, 3, 4)
	age(t, s, 1000)
	prune(t, s)
	planned, err := s.Plan(t.Context(), planOf(t, builtAt("b1", 1), given.Artifacts(1), family))
	require.NoError(t, err)
	require.False(t, planned)
	require.Equal(t, 3, count(t, s, "cd_workflow"))
}

func TestTheLastChangeOfAClusterStays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	execute(t, s, `INSERT INTO cluster_event (cluster_uid, cluster, phase, reason, occurred_at)
		SELECT u, u, p, p, now() - interval '91 days' FROM unnest(ARRAY['a', 'b']) u, unnest(ARRAY['Healthy', 'Unreachable']) WITH ORDINALITY AS o(p, n) ORDER BY n`)
	require.EqualValues(t, 2, prune(t, s))
	require.Equal(t, []string{"a Unreachable", "b Unreachable"}, table(t, s, "SELECT cluster, phase FROM cluster_event ORDER BY 1"))
}

func TestANotificationIsKeptUntilItIsSent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	execute(t, s, `INSERT INTO notification (namespace, policy, channel, group_key, type, state, due_at, changed_at)
		SELECT 'shop', '', 'slack', state, 'RunFailed', state, CASE state WHEN 'Waiting' THEN now() END, now() - interval '91 days'
		FROM unnest(ARRAY['Waiting', 'Sent', 'GivenUp', 'Skipped']) state`)
	require.EqualValues(t, 3, prune(t, s))
	require.Equal(t, []string{"Waiting"}, table(t, s, "SELECT state FROM notification"))
}

func TestOnlyHistoryOfNamespacesThatAreWatchedIsPruned(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	all := openStore(t, config)
	ended(t, all, given.FamilyOf(given.CdPipeline("web", unordered)), store.StatusSucceeded, 1, 2, 3)
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
	execute(t, s, `INSERT INTO event (at, kind, namespace, state) SELECT now() - interval '91 days', 'Task', 'shop', 'Pending' FROM generate_series(1, 1200)`)
	var pages []int64
	for page := (store.PrunedPage{More: true}); page.More; {
		var err error
		page, err = s.Prune(t.Context(), store.HistoryEvents, page.Last, retention)
		require.NoError(t, err)
		pages = append(pages, page.Deleted)
	}
	require.Equal(t, []int64{500, 500, 200}, pages)
}

func TestTasksOfStagesThatWereTriedAgainArePrunedWithTheirRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web", given.WithRetries(2, time.Second)))
	ended(t, s, family, store.StatusSucceeded, 1, 2)
	plannedBuild(t, s, builtAt("b3", 3), given.Artifacts(1), family)
	endActive(t, s, store.StatusFailed)
	followAll(t, s, family)
	execute(t, s, "UPDATE task SET available_at = now() WHERE status = 'Pending'")
	drain(t, s, family, store.StatusSucceeded)
	ended(t, s, family, store.StatusSucceeded, 4, 5)
	require.Equal(t, 6, count(t, s, "task"), "b3 was tried twice")
	gone(t, s, 1, 2, 3, 4, 5)
	age(t, s, 91)
	prune(t, s)
	require.Equal(t, []string{"b4", "b5"}, table(t, s, "SELECT inputs->>'build' FROM task ORDER BY id"))
}
