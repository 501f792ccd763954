package fairness

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
)

// order is how the queue is served.
type order struct{ name, statement string }

var (
	fairOrder            = order{name: "fair"}
	firstComeFirstServed = order{name: "fifo", statement: `
		CREATE FUNCTION penstock.place() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.fair_at = now(); RETURN NEW; END $$;
		CREATE TRIGGER place BEFORE INSERT ON penstock.task FOR EACH ROW EXECUTE FUNCTION penstock.place();`}
)

// database makes an empty one whose queue is served in this order.
func (o order) database(ctx context.Context, cluster *fixture.Cluster) (string, error) {
	url, err := cluster.Postgres.NewDatabase(ctx, "fairness")
	if err != nil {
		return "", err
	}
	if err := store.Migrate(ctx, store.Config{URL: url, Schema: fixture.Schema, MaxConns: 1}); err != nil {
		return "", err
	}
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", errors.New("connect to the database")
	}
	defer func() { _ = connection.Close(ctx) }()
	if _, err := connection.Exec(ctx, o.statement); err != nil {
		return "", fmt.Errorf("set the order of the queue: %w", err)
	}
	return url, nil
}
