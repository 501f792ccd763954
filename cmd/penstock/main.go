// Command penstock is the controller, which triggers every child CD pipeline of a
// finished build, and the server, which answers questions about it.
package main

import (
	"fmt"
	"os"
	_ "time/tzdata" // windows have time zones, and the image has no database of them

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set by the linker.
var version = "dev"

func main() {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "Penstock carries a successful CI build to every CD pipeline below it.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(controllerCommand(), serverCommand(), migrateCommand(), versionCommand())
	if err := root.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "penstock:", err)
		os.Exit(1)
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(command *cobra.Command, _ []string) { fmt.Fprintln(command.OutOrStdout(), version) },
	}
}
