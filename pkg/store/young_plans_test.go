package store_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// youngRows is how many come after a plan was made, of one receiver and one channel, and are all
// open.
const youngRows = 20_000

// ofOneRow are statements that are run for each of many rows that come in a burst, with what they
// are run with before and after it.
var ofOneRow = map[string]string{
	"AddDelivery":           "('r-1', 'ns-1', 'hooks', 'new-NUMBER', 'hash-new-NUMBER', 'github', 'push', '{}', '', 'repo-1')",
	"RepeatDelivery":        "('r-1', 'd-NUMBER', 'hash-NUMBER')",
	"ClaimNextDelivery":     "('w', '30 s', 'r-1', 'repo-7')",
	"FinishDelivery":        "('Done', 'Built', '', NUMBER, 'w', 1)",
	"RetryDelivery":         "('', '1 s', NUMBER, 'w', 1)",
	"ClaimNextNotification": "('w', '30 s', 'ns-1', 'channel-1')",
	"RecordNotification":    "('Sent', 1, '', '', '0 s', NUMBER, 'w', 1)",
}

// A session keeps its plans until Postgres looks at the tables anew. A burst may come before: on
// the first day, and whenever nothing had been open for a while. A plan may then read no more for
// a row than a plan that was made for full tables.
func TestABurstAfterAPlanWasMadeCostsNoMoreForARow(t *testing.T) {
	t.Parallel()
	for _, before := range []struct{ name, fill string }{
		{"the tables are empty", ""},
		{"nothing is open", youngFill("Done", "NULL") + "; ANALYZE"},
	} {
		t.Run(before.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			connection, err := s.Pool().Acquire(t.Context())
			require.NoError(t, err)
			t.Cleanup(connection.Release)
			run := func(text string) string {
				results, err := connection.Conn().PgConn().Exec(t.Context(), text).ReadAll()
				require.NoError(t, err, text)
				if last := results[len(results)-1]; len(last.Rows) > 0 {
					return string(last.Rows[0][0])
				}
				return ""
			}
			for _, table := range []string{"webhook_delivery", "notification"} {
				run("ALTER TABLE " + table + " SET (autovacuum_enabled = false)")
			}
			run(before.fill)
			run("SET plan_cache_mode = force_generic_plan")
			all := statements(t)
			all = slices.DeleteFunc(all, func(one statement) bool { return ofOneRow[one.name] == "" })
			require.Len(t, all, len(ofOneRow))
			for _, one := range all {
				run(fmt.Sprintf("PREPARE %q AS %s", one.name, one.text))
				run("BEGIN; " + one.call(0) + "; ROLLBACK")
			}
			run(youngFill("Received", "now()"))
			for _, one := range all {
				node, text := decodePlan(t, run("BEGIN; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+one.call(youngRows/2)))
				run("ROLLBACK")
				require.LessOrEqual(t, node.Hit+node.Read, 60, "pages that %s reads for one of %d rows: %s", one.name, youngRows, text)
			}
		})
	}
}

// youngFill adds rows of one receiver and one channel.
func youngFill(status, due string) string {
	return fmt.Sprintf(`INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, body_key, type, event, headers, body, repository, status)
	 SELECT 'r-1', 'ns-1', 'hooks', d, d, 'hash-' || d, 'day hash-' || d, 'github', 'push', '{}', '', 'repo-' || n %% 100, '%[1]s' FROM generate_series(1, %[3]d) n, LATERAL (SELECT '%[1]s-' || n AS d) x;
	 INSERT INTO notification (namespace, policy, channel, group_key, type, items, events, is_complete, due_at)
	 SELECT 'ns-1', 'p', 'channel-' || n %% 2, '%[1]s-' || n, 'RunFailed', '[]', 1, true, %[2]s FROM generate_series(1, %[3]d) n`, status, due, youngRows)
}

// call runs a prepared statement for the row of that number.
func (one statement) call(n int) string {
	return fmt.Sprintf("EXECUTE %q %s", one.name, strings.ReplaceAll(ofOneRow[one.name], "NUMBER", strconv.Itoa(n)))
}
