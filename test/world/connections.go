package world

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"k8s.io/apimachinery/pkg/util/wait"
)

// connectionsInterval is how often Postgres is asked who is connected.
const connectionsInterval = 25 * time.Millisecond

// connections keeps the most that the controllers had at once. Those of a controller
// that was killed are not counted: the server may notice later.
type connections struct {
	database *pgxpool.Pool
	cancel   context.CancelFunc
	done     sync.WaitGroup

	mu   sync.Mutex
	from time.Time // when the oldest controller that runs was started
	seen int
}

func watchConnections(database *pgxpool.Pool) *connections {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connections{database: database, cancel: cancel}
	c.done.Go(func() { wait.UntilWithContext(ctx, c.look, connectionsInterval) })
	return c
}

func (c *connections) stop() {
	c.cancel()
	c.done.Wait()
}

// countConnections leaves out the parallel workers of a query, which take no connection.
const countConnections = `SELECT count(*) FROM pg_stat_activity
	WHERE application_name = 'penstock' AND backend_type = 'client backend' AND datname = current_database() AND backend_start >= $1`

// look passes over a time when the database is down: nobody is connected then.
func (c *connections) look(ctx context.Context) {
	var count int
	if err := c.database.QueryRow(ctx, countConnections, c.since()).Scan(&count); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = max(c.seen, count)
}

func (c *connections) since() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from
}

// count counts those from then on.
func (c *connections) count(from time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = from
}

func (c *connections) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}
