package chaos

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// Every loop is started and stopped with all others, under load, by the binary with the
// race detector: a race, a panic or a loop that does not end shows in the exit status.
func TestStartingAndStoppingAtAnyMomentEndsCleanlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	const children, grace = 10, 15 * time.Second
	rounds := sized(30, 6)
	w := newWorld(t, "SHUTDOWN_GRACE_PERIOD=10s")
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.CdPipelines(children, "cd", unordered))
	for round := range rounds {
		controller := w.Launch(env.ControllerOptions{})
		starts := round%3 == 0 // it is stopped while it starts
		if starts {
			controller.MayFail()
		} else {
			require.NoError(t, controller.WaitReady(t.Context()))
		}
		build := fmt.Sprintf("b%d", round)
		w.Create(given.CiBuild(build))
		w.Succeed(build)
		moment := time.Now().Add(time.Duration(rand.IntN(1000)) * time.Millisecond)
		w.Eventually("a random moment", func(context.Context) bool { return time.Now().After(moment) })
		require.NoError(t, controller.Signal(syscall.SIGTERM))
		ended(t, controller, grace)
		if err := controller.Exit(); err != nil {
			require.True(t, starts, "%v", err)
			require.ErrorContains(t, err, "signal: terminated", "it has ended otherwise than before it listened")
		}
	}
	w.Start()
	w.RowsAre(rounds*children, "Succeeded")
	w.MadeAre(rounds * children)
	w.Judge()
}

var looksForLeaks = regexp.MustCompile(`goleak\.(VerifyTestMain|Find)\(|env\.RunTests(WithPostgres)?\(|\brunTests\(`)

func TestEveryPackageWithTestsLooksForGoroutinesThatAreLeft(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	looks := map[string]bool{} // by folder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		looks[filepath.Dir(path)] = looks[filepath.Dir(path)] || looksForLeaks.Match(text)
		return err
	})
	require.NoError(t, err)
	require.Greater(t, len(looks), 30)
	for folder, does := range looks {
		require.True(t, does, "no TestMain of %s calls goleak", folder)
	}
}
