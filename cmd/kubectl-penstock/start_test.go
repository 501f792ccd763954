package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxStart is the processor time that a command may take which asks nobody. It is what the
// plugin takes at every start, whatever else the machine does.
const maxStart = 100 * time.Millisecond

// What is linked in and runs before main costs every command: the drawing of top is there for
// one.
func TestThePluginStartsAtOnce(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "kubectl-penstock")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	least := time.Hour
	for range 5 {
		command := exec.CommandContext(t.Context(), binary, "version", "--client")
		require.NoError(t, command.Run())
		least = min(least, command.ProcessState.UserTime()+command.ProcessState.SystemTime())
	}
	require.Less(t, least, maxStart)
}
