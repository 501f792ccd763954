// Command bench measures the product against real parts: it prints a table for each
// scenario, and writes one JSON object to bin/bench. Its paths are relative to the
// repository's root, where it runs: make bench builds it into bin/penstock-bench.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrl.SetLogger(logr.Discard()) // the parts log into files; what matters is returned
	root := &cobra.Command{Use: "bench", Short: "Measure Penstock on real parts", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(listCommand(), runCommand(), gateCommand(), figuresCommand(), approachCommand(), fleetCommand(), dashboardCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
