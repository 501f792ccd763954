package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
)

func TestTheFirstStartOnAnEmptyDatabaseLogsNoError(t *testing.T) {
	// Narrow: what other tests have left would be told of.
	require.NoError(t, apart.InstallController(t.Context()))
	controller, err := apart.StartController(t.Context(), env.ControllerOptions{
		DatabaseURL: apart.Postgres.NewTestDatabase(t), Name: "first-start",
		Env: []string{"WATCH_NAMESPACES=" + apart.NewNamespace(t), "LOG_LEVEL=info"},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(controller.Log())
		return err == nil && strings.Count(string(text), "Starting workers") == 6
	}, time.Minute, 20*time.Millisecond, "not all controllers start")
	require.NoError(t, controller.Stop())
	require.NoError(t, controller.Exit())
	text, err := os.ReadFile(controller.Log())
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		for _, word := range []string{`"level":"error"`, "stacktrace", "goroutine ", "statuses", "reason withheld", "Waited before sending request"} {
			require.NotContains(t, line, word)
		}
	}
	require.Contains(t, string(text), `"msg":"starting"`)
}
