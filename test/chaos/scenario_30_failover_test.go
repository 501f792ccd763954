package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// readiness is what /readyz answers.
func readiness(ctx context.Context, controller *world.Controller) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, controller.HealthURL+"/readyz", http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// unready waits until the controller says that it is not ready, and why.
func unready(w *world.World, controller *world.Controller, words ...string) {
	w.Eventually(fmt.Sprintf("it is not ready and says %q", words), func(ctx context.Context) bool {
		status, body := readiness(ctx, controller)
		for _, word := range words {
			if !strings.Contains(body, word) {
				return false
			}
		}
		return status == http.StatusInternalServerError
	})
}

// administer runs statements as the server's administrator.
func administer(t *testing.T, server *env.Postgres, statements ...string) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), server.AdminURL)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, admin.Close(t.Context()))
}

// ownPostgres is a server that a test may break.
func ownPostgres(t *testing.T) *env.Postgres {
	t.Helper()
	postgres, err := env.StartPostgres(t.Context(), env.PostgresOptions{Own: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	return postgres
}

func TestAServerThatTurnsReadOnlyIsLeftAndUsedAgainAtOnce(t *testing.T) {
	const children = 10
	length := time.Duration(sized(30, 3)) * time.Second
	postgres := ownPostgres(t)
	w := world.New(t, world.Options{Environment: local, Postgres: postgres, Settings: []string{"KUBE_API_QPS=25", "KUBE_API_BURST=1"}})
	w.Create(given.CiPipeline(given.CI), given.CiBuild("before"), given.CiBuild("meanwhile"))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	controller := w.Start()
	alive := watchLiveness(controller)
	w.Succeed("before")
	w.Eventually("the first Workflow", func(context.Context) bool { return len(w.Workflows()) > 0 })

	administer(t, postgres, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	w.Succeed("meanwhile")
	unready(w, controller, "[-]database failed: ReadOnly: Postgres is read-only", "[+]cluster ok")
	pause(w, length)
	// The administrator's own session is read-only as well, and may all the same.
	administer(t, postgres, "ALTER SYSTEM SET default_transaction_read_only = off", "SELECT pg_reload_conf()")
	back, cpu := time.Now(), cpushare.Start()
	w.Eventually("it is ready", func(ctx context.Context) bool { return controller.Probe(ctx, "/readyz") == http.StatusOK })
	w.Eventually("the build is planned", func(context.Context) bool { return w.Count(`SELECT count(*) FROM task`) == 2*children })
	took := time.Since(back)
	t.Logf("at work %s after the server", took.Round(time.Millisecond))
	require.NoError(t, inTime(took, mostUnready, cpu))
	require.Empty(t, alive.stop(), "it must be alive all the time")
	w.RowsAre(2*children, "Succeeded")
	w.Judge()
}

func TestAChangedPasswordIsReadAtTheNextConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address, role := asSomebody(t, w, local.Postgres)
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	first, _ := parsed.User.Password()
	parsed.User = url.User(role)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(first), 0o600))
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CiBuild("b1"))
	controller := w.StartWith(env.ControllerOptions{DatabaseURL: parsed.String(), Env: []string{"DATABASE_PASSWORD_FILE=" + file}})

	administer(t, local.Postgres, "ALTER ROLE "+role+" PASSWORD 'second'", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+role+"'")
	unready(w, controller, "[-]database failed: LoginRefused: Postgres refuses the login")
	w.Succeed("b1")
	pause(w, 3*time.Second) // in which every loop fails again and again
	require.NoError(t, os.WriteFile(file, []byte("second"), 0o600))
	w.Eventually("it is ready", func(ctx context.Context) bool { return controller.Probe(ctx, "/readyz") == http.StatusOK })
	w.RowsAre(1, "Succeeded")
	w.Judge()

	text, err := os.ReadFile(controller.Log())
	require.NoError(t, err)
	require.NotContains(t, string(text), first)
	require.LessOrEqual(t, strings.Count(string(text), `"class":"LoginRefused"`), 1, "once a minute")
	require.Equal(t, 1, strings.Count(string(text), `"class":"LoginRefused"`), "the reason must be told")
}

func TestAPoolerInTransactionModeCarriesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parsed, err := url.Parse(w.DatabaseURL)
	require.NoError(t, err)
	database := strings.TrimPrefix(parsed.Path, "/")
	for _, setting := range []string{"search_path = penstock", "statement_timeout = '35s'", "idle_in_transaction_session_timeout = '5s'"} {
		administer(t, local.Postgres, fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET %s", parsed.User.Username(), database, setting))
	}
	pooled := local.Postgres.NewPgBouncer(t, w.DatabaseURL, "pool_mode = transaction", "default_pool_size = 4",
		"ignore_startup_parameters = search_path, statement_timeout, idle_in_transaction_session_timeout, tcp_user_timeout")
	w.CreateFamily(staged())
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"))
	refused := w.Launch(env.ControllerOptions{DatabaseURL: pooled})
	unready(w, refused, "[-]database failed: Pooler: DATABASE_URL leads through a connection pooler: add default_query_exec_mode=exec")
	require.NoError(t, refused.Stop())
	w.StartWith(env.ControllerOptions{DatabaseURL: pooled + "&default_query_exec_mode=exec"})
	w.Succeed("b1")
	w.RowsAre(5, "Succeeded")
	w.Judge()
	require.Zero(t, w.Count(`SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`))
}
