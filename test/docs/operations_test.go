// Package docs runs the commands of docs/install.md, docs/reporting-builds.md, docs/operations.md, docs/notifications.md, docs/builds.md, docs/steering.md, docs/explain.md, docs/dashboard.md and
// docs/base-images.md, in the order of each page, against a real API server and a real Postgres.
package docs

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// root is the repository's.
	root = "../.."
	// patience bounds one command, where its page says nothing else.
	patience = 30 * time.Second
	// password is the one on the page.
	password = "choose-another"
)

var local *env.Environment

func TestMain(m *testing.M) { os.Exit(env.RunTests(m, env.Options{}, &local)) }

// reader is who follows the page: a shell, and what it is given.
type reader struct {
	page        string
	dir         string
	environment []string
	adminURL    string
	databaseURL string
	patience    time.Duration
}

func TestEveryCommandOfTheOperationsPageRuns(t *testing.T) {
	if local.Postgres.Log() == "" {
		t.Skip("it makes roles and databases, on no server but its own")
	}
	if _, err := exec.LookPath("pg_restore"); err != nil {
		t.Skip("the page is for those who have psql, pg_dump and pg_restore: " + err.Error())
	}
	r := newReader(t, "operations.md")
	r.install(t)
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	workflows := []*wfv1.Workflow{activeWorkflow("one", v1alpha1.FinalizerRecorded, foreign), activeWorkflow("two", foreign, v1alpha1.FinalizerRecorded)}
	for _, workflow := range workflows {
		require.NoError(t, cluster.Create(t.Context(), workflow))
	}

	commands := commandsOf(t, r.text(t))
	require.Greater(t, len(commands), 20)
	left := 0
	for _, command := range commands {
		if command.notRun != "" {
			left++
			t.Logf("line %d is not run: %s", command.line, command.notRun)
			continue
		}
		if strings.Contains(command.text, "DROP SCHEMA penstock CASCADE") {
			requireTables(t, r, true)
		}
		r.run(t, command)
	}
	require.LessOrEqual(t, left, 2, "most of the page is to be run")
	requireTables(t, r, false)
	requireDone(t, cluster, workflows, r)
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	admin, err := url.Parse(local.Postgres.AdminURL)
	require.NoError(t, err)
	database := *admin
	database.User, database.Path = url.UserPassword("penstock", password), "/penstock"
	r := &reader{page: page, dir: t.TempDir(), adminURL: admin.String(), databaseURL: database.String(), patience: patience}
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	require.NoError(t, err)
	r.environment = append(os.Environ(),
		"PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+local.Kubeconfig, "ADMIN_URL="+r.adminURL, "DATABASE_URL="+r.databaseURL)
	// The reader stands in a copy of the repository, and may leave files there.
	for _, folder := range []string{"config", "charts"} {
		path, err := filepath.Abs(filepath.Join(root, folder))
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(r.dir, folder)))
	}
	return r
}

// text is that of the page.
func (r *reader) text(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", r.page))
	require.NoError(t, err)
	return string(page)
}

// install is what the reader has done before: the README says it.
func (r *reader) install(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"default", "server", "samples"} {
		r.run(t, command{language: "console", text: "kubectl apply -k config/" + folder})
	}
	// The server of the tests has a role of this name.
	r.run(t, command{language: "sql", text: "ALTER ROLE penstock RENAME TO another"})
	t.Cleanup(func() { // for the pages after this one
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r.execute(ctx, t, `DO $$ BEGIN
			IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'penstock') THEN ALTER ROLE penstock RENAME TO of_the_page; END IF;
			ALTER ROLE another RENAME TO penstock;
		END $$`)
	})
}

// run fails the test unless the command succeeds.
func (r *reader) run(t *testing.T, c command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), r.patience)
	defer cancel()
	if c.language == "sql" {
		r.execute(ctx, t, c.text)
		return
	}
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", c.text)
	shell.Dir, shell.Env = r.dir, r.environment
	printed, err := shell.CombinedOutput()
	require.NoError(t, err, "docs/%s, line %d: %s\n%s", r.page, c.line, c.text, printed)
}

func (r *reader) execute(ctx context.Context, t *testing.T, statements string) {
	t.Helper()
	connection, err := pgx.Connect(ctx, r.adminURL)
	require.NoError(t, err)
	defer func() { _ = connection.Close(ctx) }()
	_, err = connection.PgConn().Exec(ctx, statements).ReadAll()
	require.NoError(t, err, statements)
}

// foreign is a finalizer of somebody else.
const foreign = "example.com/other"

// activeWorkflow is one of Penstock's that has not ended.
func activeWorkflow(name string, finalizers ...string) *wfv1.Workflow {
	return &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, Finalizers: finalizers,
	}}
}

// requireDone looks at what the page says that its commands do.
func requireDone(t *testing.T, cluster client.Client, workflows []*wfv1.Workflow, r *reader) {
	t.Helper()
	for _, workflow := range workflows {
		require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(workflow), workflow))
		require.Equal(t, []string{foreign}, workflow.Finalizers)
	}
	pipeline := &v1alpha1.CiPipeline{}
	require.NoError(t, cluster.Get(t.Context(), types.NamespacedName{Namespace: "default", Name: "checkout"}, pipeline))
	require.Equal(t, &v1alpha1.BuildHistory{Successful: 20, Failed: 5}, pipeline.Spec.BuildHistory)
	settings := &corev1.ConfigMap{}
	require.NoError(t, cluster.Get(t.Context(), types.NamespacedName{Namespace: env.ControllerNamespace, Name: "penstock-settings"}, settings))
	require.NotEmpty(t, settings.Data["HISTORY_RETENTION"])
	require.FileExists(t, filepath.Join(r.dir, "penstock.dump"))
}

// requireTables fails the test unless the tables of the dump are there, or are gone, and nothing
// else is left.
func requireTables(t *testing.T, r *reader, restored bool) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), r.databaseURL)
	require.NoError(t, err)
	defer func() { _ = connection.Close(context.Background()) }()
	var tables, aside int
	const count = "SELECT count(*) FILTER (WHERE schemaname = 'penstock'), count(*) FILTER (WHERE schemaname LIKE 'penstock\\_%') FROM pg_tables"
	require.NoError(t, connection.QueryRow(t.Context(), count).Scan(&tables, &aside))
	if restored {
		require.Greater(t, tables, 10, "the dump was restored")
	} else {
		require.Zero(t, tables, "the last command drops them")
	}
	require.Zero(t, aside, "what was put aside is dropped")
}
