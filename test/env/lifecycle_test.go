package env

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// victimVariable makes the test binary start an environment, print what to look
// for, and wait to be killed. Its value is the directory of a detached one.
const victimVariable = "PENSTOCK_TEST_VICTIM"

// traces is where an environment can be found after its end.
type traces struct {
	PIDs []int
	Dirs []string
}

func tracesOf(e *Environment) traces {
	found := traces{Dirs: []string{e.data, statePath(e.Dir)}}
	for _, tier := range e.tiers {
		for _, p := range tier {
			found.PIDs = append(found.PIDs, p.handle.Pid)
		}
	}
	if e.Postgres != nil && e.Postgres.scratch != nil {
		found.PIDs = append(found.PIDs, e.Postgres.process.handle.Pid)
		found.PIDs = append(found.PIDs, childrenOf(e.Postgres.process.handle.Pid)...)
		found.Dirs = append(found.Dirs, e.Postgres.scratch.path)
	}
	return found
}

func childrenOf(pid int) []int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var pids []int
	for _, field := range bytes.Fields(text) {
		child, _ := strconv.Atoi(string(field))
		pids = append(pids, child)
	}
	return pids
}

func (t traces) running() []int {
	var running []int
	for _, pid := range t.PIDs {
		if startTime(pid) != "" {
			running = append(running, pid)
		}
	}
	return running
}

func (t traces) left() []string {
	var left []string
	for _, dir := range t.Dirs {
		if exists(dir) {
			left = append(left, dir)
		}
	}
	return left
}

// victim never returns but by an error, a signal or the end of its input.
func victim() int {
	if os.Getenv(victimVariable) == "interrupt" {
		var e *Environment
		return runTests(func() int { return announce(e) }, func(ctx context.Context) (stop func() error, err error) {
			if e, err = Start(ctx, Options{}); err != nil {
				return nil, err
			}
			return e.Stop, nil
		})
	}
	o := Options{}
	if dir := os.Getenv(victimVariable); filepath.IsAbs(dir) {
		o.Detached, o.Dir = true, dir
	}
	e, err := Start(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return announce(e)
}

func announce(e *Environment) int {
	if err := json.NewEncoder(os.Stdout).Encode(tracesOf(e)); err != nil {
		return 1
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

// startVictim runs this test binary as a process that has an environment.
func startVictim(t *testing.T, value string) (*exec.Cmd, traces) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+value)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var found traces
	require.NoError(t, json.NewDecoder(output).Decode(&found))
	require.Equal(t, found.PIDs, found.running())
	require.GreaterOrEqual(t, len(found.PIDs), 2)
	return cmd, found
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	e, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	found := tracesOf(e)
	require.NoError(t, e.Stop())
	require.NoError(t, e.Stop(), "a second time")
	require.Empty(t, found.running())
	require.Empty(t, found.left())
	require.NoDirExists(t, e.Dir)
}

func TestTwoEnvironmentsRunSideBySide(t *testing.T) {
	t.Parallel()
	e, err := Start(t.Context(), Options{WithoutCRDs: true})
	require.NoError(t, err)
	name := local.NewNamespace(t)
	_, err = kubernetes.NewForConfigOrDie(e.Config).CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	require.Error(t, err)
	require.NotEqual(t, local.DatabaseURL, e.DatabaseURL)
	require.NoError(t, e.Stop())
}

func TestAKilledProcessTakesItsPartsAlong(t *testing.T) {
	t.Parallel()
	cmd, found := startVictim(t, "kill")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(found.running()) == 0 }, finishTimeout, readyInterval,
		"some of %v still run", found.PIDs)
}

func TestAnInterruptedTestStopsItsParts(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd, found := startVictim(t, "interrupt")
			require.NoError(t, cmd.Process.Signal(signal))
			_ = cmd.Wait()
			require.Equal(t, 130, cmd.ProcessState.ExitCode())
			require.Empty(t, found.running())
			require.Empty(t, found.left())
		})
	}
}

func TestADetachedEnvironmentOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, found := startVictim(t, dir)
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	require.Equal(t, found.PIDs, found.running())

	_, err := Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "in use")
	e, err := Attach(dir)
	require.NoError(t, err)
	_, err = kubernetes.NewForConfigOrDie(e.Config).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.NoError(t, e.Stop())
	require.Empty(t, found.running())
	require.Empty(t, found.left())
	_, err = pgx.Connect(t.Context(), e.DatabaseURL)
	require.Error(t, err, "the database is still there")
	require.FileExists(t, filepath.Join(dir, "kube-apiserver.log"))

	_, err = Attach(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAFailedStartStopsWhatItStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: dir, APIServerFlags: []string{"--no-such-flag"}})
	require.ErrorContains(t, err, "kube-apiserver ended before it was ready")
	require.ErrorContains(t, err, "unknown flag: --no-such-flag")
	lock, err := tryLock(filepath.Join(dir, lockName))
	require.NoError(t, err, "a child still holds the directory")
	require.NoError(t, lock.Close())
}

func TestACancelledStartEndsSoon(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	_, err := Start(ctx, Options{Dir: dir})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	lock, err := tryLock(filepath.Join(dir, lockName))
	require.NoError(t, err, "a child still holds the directory")
	require.NoError(t, lock.Close())
}
