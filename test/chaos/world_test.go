package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// newWorld is a narrow world on the package's environment: scenarios run beside each other on
// one API server, and each breaks controllers and a database of its own.
func newWorld(t *testing.T, settings ...string) *world.World {
	t.Helper()
	return world.New(t, world.Options{Environment: local, Settings: settings})
}

// unordered has the builds of a pipeline run at once: where order is not the subject, they
// need not wait for each other.
var unordered = given.Concurrency(v1alpha1.ConcurrencyAllow)

// newQuietWorld is a world on an environment of its own, where nobody runs Workflows:
// a thousand of them would take the machine for minutes. Rows stay Submitted.
func newQuietWorld(t *testing.T, settings ...string) *world.World {
	t.Helper()
	quiet, err := env.Start(t.Context(), env.Options{Audit: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, quiet.Stop()) })
	return world.New(t, world.Options{Environment: quiet, Settings: settings})
}

// proxied starts a controller behind a proxy before the API server.
func proxied(t *testing.T, w *world.World, settings ...string) (*fault.APIServer, *world.Controller) {
	t.Helper()
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return proxy, w.StartWith(env.ControllerOptions{Cluster: proxy.Through(local.ConfigFor(env.Penstock)), Env: settings})
}

// throughProxy returns a proxy before the world's database.
func throughProxy(t *testing.T, w *world.World) *fault.Postgres {
	t.Helper()
	proxy, err := fault.NewPostgres(w.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return proxy
}

// sized is the scenario's own number, or a smaller one with -short.
func sized(whole, short int) int {
	if testing.Short() {
		return short
	}
	return whole
}

// exited waits until the controller has ended with status 0, and returns how long that
// took.
func exited(t *testing.T, controller *world.Controller, patience time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	ended(t, controller, patience)
	require.NoError(t, controller.Exit())
	return time.Since(began)
}

// ended waits until the controller has ended, however.
func ended(t *testing.T, controller *world.Controller, patience time.Duration) {
	t.Helper()
	select {
	case <-controller.Ended():
	case <-time.After(patience):
		require.Fail(t, "the controller does not end", "after %s", patience)
	}
}

// long leaves a scenario that takes long, or the whole machine, to make chaos.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("make chaos runs it")
	}
}
