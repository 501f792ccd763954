package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
)

// withPlugin builds the plugin into the reader's PATH.
func (r *reader) withPlugin(t *testing.T) {
	t.Helper()
	bin := filepath.Join(r.dir, "plugin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "kubectl-penstock"), "./cmd/kubectl-penstock")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	for i, variable := range r.environment {
		if path, found := strings.CutPrefix(variable, "PATH="); found {
			r.environment[i] = "PATH=" + bin + ":" + path
		}
	}
}

// An operator follows both pages, one after the other, on an installation that runs.
func TestEveryCommandOfTheTuningAndTroubleshootingPagesRuns(t *testing.T) {
	require.NoError(t, local.InstallServer(t.Context()))
	database := local.NewDatabase(t)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{DatabaseURL: database, Name: "tuned"})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	server, err := local.StartServer(t.Context(), env.ServerOptions{DatabaseURL: database, Name: "tuned-server"})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	// Here the controller is no pod: the reader names its addresses.
	named := strings.NewReplacer(
		"kubectl penstock doctor", "kubectl penstock doctor --controller-health "+controller.HealthURL,
		"kubectl penstock tune", "kubectl penstock tune --sample 100ms --metrics "+controller.MetricsURL,
		"kubectl penstock top", "kubectl penstock top --metrics "+controller.MetricsURL,
	)
	for _, page := range []string{"tuning.md", "troubleshooting.md"} {
		r := newReader(t, page)
		r.withPlugin(t)
		commands := commandsOf(t, r.text(t))
		require.GreaterOrEqual(t, len(commands), 10, page)
		for _, command := range commands {
			require.Empty(t, command.notRun)
			command.text = named.Replace(command.text)
			r.run(t, command)
		}
		r.run(t, command{language: "console", text: named.Replace("kubectl penstock tune -o json | grep '\"limit\": 20'")}) // the controller has followed
	}
}
