package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/world"
)

// change is one update of a task that was committed.
type change struct {
	// At is by the database's clock.
	At time.Time
	// Writer is the role that logged in.
	Writer        string
	Task          int64
	Before, After string // status
	Attempt       int32
	// Worker has the claim, or had it before.
	Worker string
	// Delay is how long the task is left alone from now on.
	Delay time.Duration
}

const historian = `
CREATE TABLE chaos_history (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, writer text NOT NULL,
	task bigint NOT NULL, before text NOT NULL, after text NOT NULL, attempt integer NOT NULL, worker text NOT NULL,
	delay double precision NOT NULL);
CREATE FUNCTION chaos_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO chaos_history (at, writer, task, before, after, attempt, worker, delay)
	VALUES (clock_timestamp(), session_user, NEW.id, OLD.status, NEW.status, NEW.attempt,
		COALESCE(NULLIF(NEW.claimed_by, ''), OLD.claimed_by),
		CASE WHEN isfinite(NEW.available_at) THEN EXTRACT(EPOCH FROM NEW.available_at - now()) ELSE 0 END);
	RETURN NEW;
END $$;
CREATE TRIGGER chaos_record AFTER UPDATE ON task FOR EACH ROW EXECUTE FUNCTION chaos_record();`

// recordHistory has the database log every change of a task from now on.
func recordHistory(t *testing.T, w *world.World) {
	t.Helper()
	_, err := w.Database.Exec(t.Context(), historian)
	require.NoError(t, err)
}

// history returns the changes so far, in the order of their commits as far as they
// concern one task.
func history(t *testing.T, w *world.World) []change {
	t.Helper()
	rows, err := w.Database.Query(t.Context(),
		`SELECT at, writer, task, before, after, attempt, worker, delay FROM chaos_history ORDER BY id`)
	require.NoError(t, err)
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (change, error) {
		var one change
		var delay float64
		err := row.Scan(&one.At, &one.Writer, &one.Task, &one.Before, &one.After, &one.Attempt, &one.Worker, &delay)
		one.Delay = time.Duration(delay * float64(time.Second))
		return one, err
	})
	require.NoError(t, err)
	return changes
}

// asSomebody returns the world's database URL for a role of its own, which may do what
// the world's may, and the role.
func asSomebody(t *testing.T, w *world.World, server *env.Postgres) (databaseURL, role string) {
	t.Helper()
	address, err := url.Parse(w.DatabaseURL)
	require.NoError(t, err)
	role = "chaos_" + strings.ToLower(rand.Text()[:12])
	password := rand.Text()
	admin, err := pgx.Connect(t.Context(), server.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.Background())) }()
	// Letters and digits alone.
	_, err = admin.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE %s", role, password, address.User.Username()))
	require.NoError(t, err)
	address.User = url.UserPassword(role, password)
	return address.String(), role
}
