package oracle

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
)

// recorder logs every status that a stage has ever had, and since when; none, before it was made
// and after it was deleted, is the empty one.
const recorder = `
CREATE TABLE IF NOT EXISTS oracle_transition (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, runner bigint NOT NULL, before text NOT NULL, after text NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE OR REPLACE FUNCTION oracle_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO oracle_transition (runner, before, after) VALUES (OLD.id, OLD.status, '');
	ELSIF TG_OP = 'INSERT' THEN
		INSERT INTO oracle_transition (runner, before, after) VALUES (NEW.id, '', NEW.status);
	ELSIF OLD.status <> NEW.status THEN
		INSERT INTO oracle_transition (runner, before, after) VALUES (NEW.id, OLD.status, NEW.status);
	END IF;
	RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER oracle_record AFTER INSERT OR UPDATE OR DELETE ON cd_workflow_runner
	FOR EACH ROW EXECUTE FUNCTION oracle_record();`

// RecordTransitions has the database log every change of a stage's status from now
// on, for the check of I5. It may be called again.
func RecordTransitions(ctx context.Context, database *pgxpool.Pool) error {
	if _, err := database.Exec(ctx, recorder); err != nil {
		return fmt.Errorf("record transitions: %w", err)
	}
	return nil
}

// allowed is the state machine; an end state leads nowhere, and no row is deleted.
var allowed = map[string][]string{
	"":           {"Pending"},
	"Pending":    {"Submitting", "Submitted", "Running", "Succeeded", "Failed", "Error", "Cancelled", "Superseded"},
	"Submitting": {"Pending", "Submitted", "Running", "Succeeded", "Failed", "Error", "Cancelled"},
	"Submitted":  {"Running", "Succeeded", "Failed", "Error", "Cancelled"},
	"Running":    {"Succeeded", "Failed", "Error", "Cancelled"},
}

func transitions(ctx context.Context, world World) ([]string, error) {
	rows, err := world.Database.Query(ctx, `SELECT runner, before, after FROM oracle_transition ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var runner int64
		var before, after string
		if err := rows.Scan(&runner, &before, &after); err != nil {
			return nil, fmt.Errorf("read transitions: %w", err)
		}
		if !slices.Contains(allowed[before], after) {
			found = append(found, fmt.Sprintf("I5: row %d went from %q to %q", runner, before, after))
		}
	}
	return found, rows.Err()
}
