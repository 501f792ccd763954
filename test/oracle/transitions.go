package oracle

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// recorder logs every state that a task or a turn has ever had, with its reason, and until
// when one that waits for the time is held; none,
// before it was made and after it was deleted, is the empty one. The ids of what concerns
// one pipeline are in the order in which it happened. An attempt has failed where it counts,
// or is tried again later, or its worker gives a reason: one that is to be stopped is tried
// again at once, and not counted where the API server gave no answer.
const recorder = `
CREATE TABLE IF NOT EXISTS oracle_transition (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task bigint NOT NULL, before text NOT NULL, after text NOT NULL,
	reason text NOT NULL DEFAULT '', failed boolean NOT NULL DEFAULT false, reopened integer NOT NULL DEFAULT 0,
	at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE OR REPLACE FUNCTION oracle_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO oracle_transition (task, before, after) VALUES (OLD.id, OLD.status, '');
	ELSIF TG_OP = 'INSERT' THEN
		INSERT INTO oracle_transition (task, before, after, reason) VALUES (NEW.id, '', NEW.status, NEW.reason);
	ELSIF (OLD.status, OLD.reason, OLD.reopened) IS DISTINCT FROM (NEW.status, NEW.reason, NEW.reopened)
		OR (NEW.status = 'Held' AND NEW.reason IN ('Window', 'Freeze') AND OLD.message <> NEW.message) THEN
		INSERT INTO oracle_transition (task, before, after, reason, failed, reopened)
		VALUES (NEW.id, OLD.status, NEW.status, NEW.reason, NEW.failures > OLD.failures OR NEW.available_at > GREATEST(OLD.available_at, now())
			OR (NEW.reason <> '' AND current_query() LIKE '%name: CompleteTasks %'), NEW.reopened - OLD.reopened);
	END IF;
	RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER oracle_record AFTER INSERT OR UPDATE OR DELETE ON task
	FOR EACH ROW EXECUTE FUNCTION oracle_record();

CREATE TABLE IF NOT EXISTS oracle_turn (
	id bigint PRIMARY KEY DEFAULT nextval(pg_get_serial_sequence('oracle_transition', 'id')),
	turn bigint NOT NULL, before text NOT NULL, after text NOT NULL);
CREATE OR REPLACE FUNCTION oracle_record_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO oracle_turn (turn, before, after) VALUES (NEW.id, '', NEW.state);
	ELSIF OLD.state <> NEW.state THEN
		INSERT INTO oracle_turn (turn, before, after) VALUES (NEW.id, OLD.state, NEW.state);
	END IF;
	RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER oracle_record_turn AFTER INSERT OR UPDATE ON turn
	FOR EACH ROW EXECUTE FUNCTION oracle_record_turn();`

// RecordTransitions has the database log every change of a task's and a turn's state from
// now on, for the checks of I5, I7 and I8. It may be called again.
func RecordTransitions(ctx context.Context, database *pgxpool.Pool) error {
	if _, err := database.Exec(ctx, recorder); err != nil {
		return fmt.Errorf("record transitions: %w", err)
	}
	return nil
}

// allowed is the state machine; no task is deleted, and an end state leads nowhere, unless
// the task is reopened. One that is held may be held for another reason, and of one that is
// submitted it may be noted that nobody takes its Workflow up.
var allowed = map[string][]string{
	"":           {"Held", "Pending"},
	"Held":       {"Held", "Pending", "Error", "Cancelled", "Superseded"},
	"Pending":    {"Held", "Submitting", "Submitted", "Running", "Succeeded", "Failed", "Error", "Cancelled", "Superseded"},
	"Submitting": {"Held", "Pending", "Submitted", "Running", "Succeeded", "Failed", "Error", "Cancelled", "Superseded"},
	"Submitted":  {"Submitted", "Running", "Succeeded", "Failed", "Error", "Cancelled", "Superseded"},
	"Running":    {"Succeeded", "Failed", "Error", "Cancelled", "Superseded"},
}

// reopens is where a task goes from an end, counted as reopened once more: on with its
// Workflow, which was retried in Argo, or back to where it waited for a stage before it that
// goes on.
var reopens = map[string][]string{
	"Succeeded": {"Running"}, "Failed": {"Running"}, "Error": {"Running"}, "Superseded": {"Running"},
	"Cancelled": {"Running", "Held"},
}

func transitions(ctx context.Context, world World) ([]string, error) {
	rows, err := world.Database.Query(ctx, `SELECT task, before, after, reopened FROM oracle_transition ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	var found []string
	var task int64
	var before, after string
	var reopened int
	_, err = pgx.ForEachRow(rows, []any{&task, &before, &after, &reopened}, func() error {
		grows := reopened == 0 && slices.Contains(allowed[before], after) || reopened == 1 && slices.Contains(reopens[before], after)
		if !grows {
			found = append(found, fmt.Sprintf("I5: task %d went from %q to %q, reopened %d time(s)", task, before, after, reopened))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	return found, nil
}

// unlogged compares the recorded transitions of each task with its rows in event. A claim
// is a lease and no event, nor is it one that it is given back, unless that has a reason;
// a stage behind the first is held from the beginning, which is none either.
const unlogged = `
WITH happened AS (
	SELECT task, after AS state, reason, count(*) AS n FROM oracle_transition
	WHERE after NOT IN ('', 'Submitting') AND NOT (before = '' AND after = 'Held' AND reason = 'StageBefore')
		AND (before <> 'Submitting' OR after <> 'Pending' OR failed)
	GROUP BY task, after, reason
), logged AS (
	SELECT task_id AS task, state, reason, count(*) AS n FROM event WHERE kind = 'Task' GROUP BY task_id, state, reason
)
SELECT format('task %s became %s %s time(s), and events say %s', task, concat_ws('/', state, NULLIF(reason, '')),
	COALESCE(happened.n, 0), COALESCE(logged.n, 0))
FROM happened FULL JOIN logged USING (task, state, reason)
WHERE happened.n IS DISTINCT FROM logged.n
ORDER BY task, state, reason`

// history looks for transitions without an event, and for events without a transition.
func history(ctx context.Context, world World) ([]string, error) {
	sentences, err := texts(ctx, world, unlogged)
	if err != nil {
		return nil, fmt.Errorf("compare events with transitions: %w", err)
	}
	for i, sentence := range sentences {
		sentences[i] = "I7: " + sentence
	}
	return sentences, nil
}
