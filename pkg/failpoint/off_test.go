//go:build !failpoints

package failpoint

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// victim is of no use without failpoints.
const victim = "PENSTOCK_TEST_VICTIM"

func runVictim() int { return 0 }

func TestWithoutTheTagTheVariableIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, Enable(""))
	require.ErrorContains(t, Enable("plan/before-commit=kill"), "PENSTOCK_FAILPOINTS is set, but this binary is built without failpoints")
}

// The compiler counts what a function costs where it is inlined; at 0 nothing is
// left of the call.
func TestWithoutTheTagAPointCostsNothing(t *testing.T) {
	t.Parallel()
	printed, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-m=2", ".").CombinedOutput()
	require.NoError(t, err, "%s", printed)
	require.Contains(t, string(printed), "can inline Hit with cost 0 as: func(Name) {  }")
	require.Contains(t, string(printed), "can inline Error with cost 2 as: func(Name) error { return nil }")
}
