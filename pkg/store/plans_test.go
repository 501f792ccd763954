package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

// wholeHistory is how many tasks the plans are tested with where HISTORY=whole is set, as
// `make chaos` does; else shortHistory.
const wholeHistory, shortHistory = 1_000_000, 100_000

// statement is one of queries/*.sql, with numbered parameters.
type statement struct {
	name, text string
	parameters []string
}

var (
	statementName = regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`)
	comment       = regexp.MustCompile(`(?m)--.*$`)
	writing       = regexp.MustCompile(`UPDATE|INSERT|DELETE`)
	parameter     = regexp.MustCompile(`@([a-z_]+)`)
)

// statements are all of queries/*.sql.
func statements(t *testing.T) []statement {
	t.Helper()
	files, err := filepath.Glob("queries/*.sql")
	require.NoError(t, err)
	var all []statement
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		names := statementName.FindAllSubmatchIndex(content, -1)
		for i, at := range names {
			end := len(content)
			if i+1 < len(names) {
				end = names[i+1][0]
			}
			one := statement{name: string(content[at[2]:at[3]])}
			text := comment.ReplaceAllString(string(content[at[1]:end]), "")
			text = strings.ReplaceAll(text, "sqlc.embed(n)", "n.*") // as sqlc does
			one.text = parameter.ReplaceAllStringFunc(text, func(found string) string {
				place := slices.Index(one.parameters, found[1:])
				if place < 0 {
					one.parameters, place = append(one.parameters, found[1:]), len(one.parameters)
				}
				return "$" + strconv.Itoa(place+1)
			})
			all = append(all, one)
		}
	}
	return all
}

// writes is 0 for a statement that only reads.
func (one statement) writes() int { return min(1, len(writing.FindString(one.text))) }

// grows are the tables that grow with history, each with how many of its pages may be read
// in order: a tenth of the rows of history are builds and artifacts, and it can be cheaper to
// read all of these than to look a thousand up.
var grows = map[string]int{
	"task": 0, "cd_workflow": 0, "cd_workflow_runner": 0, "event": 0, "trigger_decision": 0, "turn": 0, "run_request": 0, "cluster_event": 0, "deployed": 100, "notification": 300, "webhook_delivery": 0, "build_turn": 0,
	"ci_build": 2000, "ci_artifact": 2000, "wave": 600, "wave_item": 0,
}

// planNode is what is looked at of a plan.
type planNode struct {
	Type  string     `json:"Node Type"`
	Table string     `json:"Relation Name"`
	Hit   int        `json:"Shared Hit Blocks"`
	Read  int        `json:"Shared Read Blocks"`
	Loops float64    `json:"Actual Loops"`
	Plans []planNode `json:"Plans"`
	// Removed is the mean over the loops.
	Removed float64 `json:"Rows Removed by Join Filter"`
}

// removed is how many pairs of rows the plan joins for nothing.
func (n planNode) removed() float64 {
	sum := n.Removed * n.Loops
	for _, below := range n.Plans {
		sum += below.removed()
	}
	return sum
}

// scanned are the growing tables that the plan reads whole, or would.
func (n planNode) scanned() []string {
	var found []string
	if bound, large := grows[n.Table]; large && strings.Contains(n.Type, "Seq Scan") && (bound == 0 || n.Hit+n.Read > bound) {
		found = append(found, n.Table)
	}
	for _, below := range n.Plans {
		found = append(found, below.scanned()...)
	}
	return found
}

// run returns the plan that Postgres takes, and what it read, and leaves the tables as they
// are.
func (one statement) run(t *testing.T, s *store.Store, mode string, arguments map[string]string) (planNode, string) {
	t.Helper()
	connection, err := s.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer connection.Release()
	var quoted []string
	for _, name := range one.parameters {
		argument, known := arguments[name]
		require.True(t, known, "%s: no argument for @%s", one.name, name)
		quoted = append(quoted, "'"+strings.ReplaceAll(argument, "'", "''")+"'")
	}
	call := "one"
	if len(quoted) > 0 {
		call += "(" + strings.Join(quoted, ", ") + ")"
	}
	prepared, _, _ := strings.Cut(one.text, ";")
	var output string
	for _, text := range []string{
		"BEGIN", "SET LOCAL plan_cache_mode = " + mode, "PREPARE one AS " + prepared,
		"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE " + call, "DEALLOCATE one", "ROLLBACK",
	} {
		// As it stands: pgx would put arguments in the place of the parameters.
		results, err := connection.Conn().PgConn().Exec(t.Context(), text).ReadAll()
		if err != nil {
			_, _ = connection.Conn().PgConn().Exec(t.Context(), "ROLLBACK").ReadAll()
		}
		require.NoError(t, err, "%s: %s", one.name, text)
		if strings.HasPrefix(text, "EXPLAIN") {
			output = string(results[0].Rows[0][0])
		}
	}
	return decodePlan(t, output)
}

// decodePlan reads what EXPLAIN has written as JSON.
func decodePlan(t *testing.T, output string) (planNode, string) {
	t.Helper()
	var plans []struct{ Plan planNode }
	require.NoError(t, json.Unmarshal([]byte(output), &plans))
	return plans[0].Plan, output
}

func TestEveryQueryHasItsPlanTested(t *testing.T) {
	t.Parallel()
	plans := plansOf(history{shortHistory})
	var names []string
	for _, one := range statements(t) {
		names = append(names, one.name)
		plan, found := plans[one.name]
		require.True(t, found, "query %s has no plan test: add it to plansOf", one.name)
		require.False(t, plan.exempt == "" && plan.pages == 0, "query %s needs a bound of pages, or a reason for having none", one.name)
	}
	slices.Sort(names)
	require.Equal(t, names, slices.Sorted(maps.Keys(plans)), "plansOf and queries/*.sql")
}

// After a few calls Postgres may take the generic plan, which knows nothing of the
// arguments. A page has 8 KiB.
func TestNoQueryReadsAllOfHistory(t *testing.T) {
	t.Parallel()
	h := history{shortHistory}
	if os.Getenv("HISTORY") == "whole" {
		h.tasks = wholeHistory
	}
	s := newStore(t)
	h.fill(t, s)
	plans := plansOf(h)
	all := statements(t)
	slices.SortStableFunc(all, func(a, b statement) int { return cmp.Compare(a.writes(), b.writes()) }) // what is rolled back stays in the pages
	for _, one := range all {
		plan := plans[one.name]
		if plan.exempt != "" {
			continue
		}
		arguments := maps.Clone(usual)
		maps.Copy(arguments, plan.arguments)
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			for _, namespaces := range []string{"{}", "{ns-1,ns-2}"} {
				if !slices.Contains(one.parameters, "namespaces") && namespaces != "{}" {
					continue
				}
				if _, own := plan.arguments["namespaces"]; !own {
					arguments["namespaces"], arguments["all_namespaces"] = namespaces, fmt.Sprint(namespaces == "{}")
				}
				node, text := one.run(t, s, mode, arguments)
				if read := node.Hit + node.Read; len(node.scanned()) > 0 || read > plan.pages {
					t.Errorf("%s (%s, namespaces %s) reads %d pages, want at most %d, and all of %v", one.name, mode, namespaces, read, plan.pages, node.scanned())
					if testing.Verbose() {
						t.Log(text)
					}
				}
			}
		}
	}
}

// Where most pipelines are in one namespace, its name tells Postgres next to nothing, and
// an order by name that only an index of the whole namespace has looks cheap.
func TestAnApplicationIsReadWithoutTheOthersOfItsNamespace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, fill := range []string{
		`INSERT INTO cd_pipeline (pipeline_uid, namespace, pipeline, application) SELECT 'cd-' || n, 'shop', 'cd-' || n, 'app-' || n / 20 FROM generate_series(0, 19999) n`,
		`INSERT INTO ci_pipeline (pipeline_uid, namespace, pipeline, application) SELECT 'ci-' || n, 'shop', 'ci-' || n, 'app-' || n / 20 FROM generate_series(0, 19999) n`,
		"VACUUM ANALYZE",
	} {
		_, err := s.Pool().Exec(t.Context(), fill)
		require.NoError(t, err)
	}
	for _, one := range statements(t) {
		if !slices.Contains(one.parameters, "application") {
			continue
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			node, text := one.run(t, s, mode, arguments{"namespace": "shop", "application": "app-7", "most": "501"})
			require.LessOrEqual(t, node.Hit+node.Read, 100, "pages that %s (%s) reads for 20 of 20,000 pipelines: %s", one.name, mode, text)
		}
	}
}
