//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// victim makes the test binary pass a point three times, with the variable's value.
const victim = "PENSTOCK_TEST_VICTIM"

func runVictim() int {
	if err := Enable(os.Getenv(victim)); err != nil {
		fmt.Println(err)
		return 2
	}
	for i := range 3 {
		fmt.Println("pass", i+1)
		Hit(PlanAfterCommit)
	}
	return 0
}

// passThrice returns what a process printed that passes a point three times, and
// how it ended.
func passThrice(t *testing.T, value string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), victim+"="+value)
	printed, err := command.Output()
	return string(printed), err
}

func TestKillEndsTheProcessByASignalAtTheNthPass(t *testing.T) {
	t.Parallel()
	printed, err := passThrice(t, "plan/after-commit=2*kill")
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, syscall.SIGKILL, ended.Sys().(syscall.WaitStatus).Signal())
	require.Equal(t, "pass 1\npass 2\n", printed)
}

func TestPanicNamesThePoint(t *testing.T) {
	t.Parallel()
	printed, err := passThrice(t, "plan/after-commit=3*panic")
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended)
	require.Contains(t, string(ended.Stderr), "panic: failpoint plan/after-commit")
	require.Equal(t, "pass 1\npass 2\npass 3\n", printed)
}

func TestWhatIsNotReachedDoesNothing(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"plan/after-commit=4*kill", "plan/before-commit=kill", " ", ";"} {
		printed, err := passThrice(t, value)
		require.NoError(t, err, value)
		require.Equal(t, "pass 1\npass 2\npass 3\n", printed, value)
	}
}

// The cases share the one list of the process.
func TestErrorsAndStalls(t *testing.T) {
	t.Cleanup(func() { enabled.Store(nil) })
	require.NoError(t, Error(PlanBeforeCommit), "before anything is enabled")
	require.NoError(t, Enable("plan/before-commit=2*error; dispatch/after-claim=stall(50ms)"))
	require.NoError(t, Error(PlanBeforeCommit))
	require.EqualError(t, Error(PlanBeforeCommit), "failpoint plan/before-commit")
	require.NoError(t, Error(PlanBeforeCommit), "it happens once")
	began := time.Now()
	Hit(DispatchAfterClaim)
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
	require.Error(t, Enable("nonsense"))
	require.NoError(t, Enable("plan/before-commit=error"))
	require.Error(t, Error(PlanBeforeCommit))
}

func TestAMistakeStopsTheStartAndIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plan/before-commit":                               "want name=action or name=n*action",
		"plan/before-commit=":                              "want name=action or name=n*action",
		"plan/before-commit=0*kill":                        "want name=action or name=n*action",
		"plan/nowhere=kill":                                `no failpoint "plan/nowhere", want one of [build/after-commit `,
		"plan/before-commit=explode":                       `no action "explode", want kill, panic, stall(30s) or error`,
		"plan/before-commit=stall":                         "want a duration",
		"plan/before-commit=stall(-1s)":                    "want a duration",
		"plan/before-commit=kill(1s)":                      "kill takes no argument",
		"plan/after-commit=error":                          "this step can't return an error",
		"track/after-commit=kill;track/after-commit=panic": "track/after-commit is named twice",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, want, text)
	}
	printed, err := passThrice(t, "plan/nowhere=kill")
	require.Error(t, err)
	require.Contains(t, printed, `PENSTOCK_FAILPOINTS: "plan/nowhere=kill": no failpoint`)
}
