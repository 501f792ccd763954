// Command demo starts the real parts and the controller, has a build of 50
// children finish, and says whether everything came as promised.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() { os.Exit(run()) }

// run returns the exit status.
func run() int {
	ctrl.SetLogger(logr.Discard()) // the parts log into files
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "demo", Short: "Penstock on real parts", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(
		&cobra.Command{Use: "run", Short: "Start, trigger 50 pipelines, check, stop", Args: cobra.NoArgs, RunE: runCommand},
		&cobra.Command{Use: "up", Short: "The same, and leave everything running", Args: cobra.NoArgs, RunE: upCommand},
		&cobra.Command{Use: "down", Short: "End what up has left running", Args: cobra.NoArgs, RunE: downCommand},
	)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}
