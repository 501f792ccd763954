package world

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

const (
	// Patience bounds each wait; it is generous, since two cores do everything.
	Patience = 2 * time.Minute
	// look is how often a wait looks.
	look = 50 * time.Millisecond
	// schema holds the tables.
	schema = "penstock"
)

// Options says where a world is and how its controllers run.
type Options struct {
	// Environment is the parts that run. Required.
	Environment *env.Environment
	// Installation is what the world is a part of: its controller watches all namespaces,
	// leads, and has its default intervals. Without one the world is narrow: it has
	// controllers and a database of its own, which see its namespace alone, need no Lease,
	// and have short leases and sweeps, so that it may break, restart and set them as it
	// likes beside others. Whoever makes a narrow world says why.
	Installation *Installation
	// Postgres is the server of the world's database. Defaults to the
	// environment's. A part of an installation is in that one's.
	Postgres *env.Postgres
	// Settings are environment variables of every controller. They win over a narrow
	// world's own: short leases and sweeps, and 200 requests per second. With an
	// installation they need a test that runs alone.
	Settings []string
}

// World is one test's own.
type World struct {
	// Namespace is where everything of the world is.
	Namespace string
	// DatabaseURL is how its controllers reach the database.
	DatabaseURL string
	// Database reads the tables: of those of an installation the rows of Namespace alone.
	Database *pgxpool.Pool
	// Cluster reads and writes within Namespace, as the administrator.
	Cluster client.Client
	// Everywhere is Cluster without the namespace.
	Everywhere client.WithWatch

	// Limits are what Judge holds all controllers together to: what those that run
	// at once were started with. A test that has them changed changes them here.
	Limits oracle.Limits

	t            testing.TB
	environment  *env.Environment
	installation *Installation
	settings     []string
	controllers  []*Controller
	witness      *oracle.Witness
	connections  *connections
	elsewhere    []*Elsewhere
}

// New prepares a world without a controller. The WorkflowTemplate given.Template
// exists in it, and takes a second.
func New(t testing.TB, o Options) *World {
	t.Helper()
	everywhere, err := o.Environment.NewClient(env.Admin)
	require.NoError(t, err)
	w := &World{t: t, environment: o.Environment, installation: o.Installation, Everywhere: everywhere}
	w.Namespace = o.Environment.NewNamespace(t)
	w.Cluster = client.NewNamespacedClient(everywhere, w.Namespace)
	if w.installation == nil {
		w.beNarrow(o)
	} else {
		w.bePart(o)
	}
	w.watch()
	require.NoError(t, o.Environment.InstallController(t.Context()))
	w.Create(given.WorkflowTemplate(given.Template, time.Second))
	return w
}

// beNarrow gives the world a database of its own, and controllers that see its namespace.
func (w *World) beNarrow(o Options) {
	w.t.Helper()
	w.settings = append([]string{
		"WATCH_NAMESPACES=" + w.Namespace, "TRIGGER_LEASE=5s", "SWEEP_INTERVAL=5s", "KUBE_API_QPS=200",
	}, o.Settings...)
	w.DatabaseURL = cmp.Or(o.Postgres, o.Environment.Postgres).NewTestDatabase(w.t)
	require.NoError(w.t, prepareDatabase(w.t.Context(), w.DatabaseURL))
	w.open(schema)
}

// bePart makes the world see its part of the installation's database.
func (w *World) bePart(o Options) {
	w.t.Helper()
	w.settings = o.Settings
	w.DatabaseURL = o.Environment.DatabaseURL
	w.installation.join(w)
	whole, err := openDatabase(w.t.Context(), w.DatabaseURL, schema)
	require.NoError(w.t, err)
	defer whole.Close()
	schemas, err := restrict(w.t.Context(), whole, w.Namespace)
	require.NoError(w.t, err)
	w.open(schemas)
}

func (w *World) open(schemas string) {
	w.t.Helper()
	var err error
	w.Database, err = openDatabase(context.Background(), w.DatabaseURL, schemas)
	require.NoError(w.t, err)
	w.t.Cleanup(w.Database.Close)
}
