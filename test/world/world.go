package world

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/store"
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
	// Postgres is the server of the world's database. Defaults to the
	// environment's.
	Postgres *env.Postgres
	// Settings are environment variables of every controller. They win over the
	// world's own: short leases and sweeps, and 200 requests per second.
	Settings []string
}

// World is one test's own.
type World struct {
	// Namespace is the only one that its controllers watch.
	Namespace string
	// DatabaseURL is how its controllers reach the database.
	DatabaseURL string
	// Database reads the tables. Its search_path is Penstock's schema.
	Database *pgxpool.Pool
	// Cluster reads and writes within Namespace, as the administrator.
	Cluster client.Client
	// Everywhere is Cluster without the namespace.
	Everywhere client.WithWatch

	// Limits are what Judge holds all controllers together to: what those that run
	// at once were started with. A test that has them changed changes them here.
	Limits oracle.Limits

	t           testing.TB
	environment *env.Environment
	settings    []string
	controllers []*Controller
	witness     *oracle.Witness
	connections *connections
}

// New prepares a world without a controller. The WorkflowTemplate given.Template
// exists in it, and takes a second.
func New(t testing.TB, o Options) *World {
	t.Helper()
	everywhere, err := o.Environment.NewClient(env.Admin)
	require.NoError(t, err)
	w := &World{t: t, environment: o.Environment, Everywhere: everywhere}
	w.Namespace = o.Environment.NewNamespace(t)
	w.Cluster = client.NewNamespacedClient(everywhere, w.Namespace)
	w.DatabaseURL = cmp.Or(o.Postgres, o.Environment.Postgres).NewTestDatabase(t)
	w.settings = append([]string{
		"WATCH_NAMESPACES=" + w.Namespace, "TRIGGER_LEASE=5s", "SWEEP_INTERVAL=5s", "KUBE_API_QPS=200",
	}, o.Settings...)
	w.prepareDatabase()
	w.watch()
	require.NoError(t, o.Environment.InstallController(t.Context()))
	w.Create(given.WorkflowTemplate(given.Template, time.Second))
	return w
}

// prepareDatabase migrates before the first controller does, to record what it does
// from its first row on.
func (w *World) prepareDatabase() {
	w.t.Helper()
	require.NoError(w.t, store.Migrate(w.t.Context(), store.Config{URL: w.DatabaseURL, Schema: schema, MaxConns: 1}))
	config, err := pgxpool.ParseConfig(w.DatabaseURL)
	require.NoError(w.t, err)
	config.ConnConfig.RuntimeParams["search_path"] = schema
	w.Database, err = pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(w.t, err)
	w.t.Cleanup(w.Database.Close)
	require.NoError(w.t, oracle.RecordTransitions(w.t.Context(), w.Database))
}
