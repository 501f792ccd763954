package world

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tablesOfNamespaces are those whose rows say which namespace they belong to.
const tablesOfNamespaces = `SELECT table_name FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'namespace'`

// rowsOf says of further tables which rows belong to NAMESPACE. All others are seen
// whole: they belong to no namespace.
var rowsOf = map[string]string{
	"turn":              `build_uid IN (SELECT build_uid FROM penstock.ci_build WHERE namespace = NAMESPACE)`,
	"deployed":          `run_id IN (SELECT id FROM penstock.cd_workflow WHERE namespace = NAMESPACE)`,
	"oracle_transition": `task IN (SELECT id FROM penstock.task WHERE namespace = NAMESPACE)`,
	"oracle_turn":       `turn IN (SELECT t.id FROM penstock.turn t JOIN penstock.ci_build b USING (build_uid) WHERE b.namespace = NAMESPACE)`,
}

// restrict makes a schema of the namespace's name, which has a view of every table with the
// rows of that namespace alone. It returns the search_path that finds these first.
func restrict(ctx context.Context, database *pgxpool.Pool, namespace string) (string, error) {
	rows, err := database.Query(ctx, tablesOfNamespaces, schema)
	if err != nil {
		return "", fmt.Errorf("read tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("read tables: %w", err)
	}
	own := pgx.Identifier{namespace}.Sanitize()
	literal := "'" + namespace + "'"
	statements := "CREATE SCHEMA " + own + ";"
	for _, table := range tables {
		statements += fmt.Sprintf("CREATE VIEW %s.%s AS SELECT * FROM %s.%s WHERE namespace = %s;", own, table, schema, table, literal)
	}
	for table, rows := range rowsOf {
		statements += fmt.Sprintf("CREATE VIEW %s.%s AS SELECT * FROM %s.%s WHERE %s;", own, table, schema, table, strings.ReplaceAll(rows, "NAMESPACE", literal))
	}
	if _, err := database.Exec(ctx, statements); err != nil {
		return "", fmt.Errorf("restrict tables to namespace %s: %w", namespace, err)
	}
	return own + ", " + schema, nil
}
