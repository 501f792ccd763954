package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/test/bench/dashboard"
	"github.com/penstock-cd/penstock/test/bench/evolution"
	"github.com/penstock-cd/penstock/test/bench/figures"
	"github.com/penstock-cd/penstock/test/bench/fleet"
	"github.com/penstock-cd/penstock/test/bench/stage"
)

const defaultRounds = 3

// Where the results go, and the documents that show them, from the repository's root.
var (
	resultsDir   = filepath.Join("bin", "bench")
	documentsDir = "docs"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios", Args: cobra.NoArgs,
		Run: func(command *cobra.Command, _ []string) {
			for _, scenario := range scenarios {
				fmt.Fprintf(command.OutOrStdout(), "%-12s  %s\n", scenario.Name, scenario.Sentence)
			}
		},
	}
}

func runCommand() *cobra.Command {
	at := &stage.Stage{Progress: os.Stdout}
	var out string
	command := &cobra.Command{
		Use: "run [scenario…]", Short: "Run scenarios, all without a name, and judge the full sizes",
		RunE: func(command *cobra.Command, names []string) error {
			thresholds, err := loadThresholds()
			if err != nil {
				return err
			}
			suite := suite{stage: at, dir: out}
			if !at.Small {
				suite.thresholds = thresholds["full"]
			}
			return suite.run(command.Context(), names)
		},
	}
	command.Flags().BoolVar(&at.Small, "small", false, "sizes that run in seconds, and are not judged")
	addFlags(command, at, &out)
	return command
}

func gateCommand() *cobra.Command {
	at := &stage.Stage{Progress: os.Stdout, Small: true}
	var out string
	command := &cobra.Command{
		Use: "gate", Short: "Run the scenarios of the gate in small sizes, and judge them", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			thresholds, err := loadThresholds()
			if err != nil {
				return err
			}
			gate := thresholds["gate"]
			return suite{stage: at, dir: out, thresholds: gate}.run(command.Context(), slices.Sorted(maps.Keys(gate)))
		},
	}
	addFlags(command, at, &out)
	return command
}

func addFlags(command *cobra.Command, at *stage.Stage, out *string) {
	command.Flags().IntVar(&at.Rounds, "rounds", defaultRounds, "how often each member of a comparison runs; medians are reported")
	command.Flags().StringVar(out, "out", resultsDir, "folder for the JSON files")
}

func figuresCommand() *cobra.Command {
	return &cobra.Command{
		Use: "figures", Short: "Copy what was measured in full sizes into the documents", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return figures.Copy(resultsDir, documentsDir) },
	}
}

// approachCommand is what the scenario evolution starts, so that each approach has a
// process of its own.
func approachCommand() *cobra.Command {
	return &cobra.Command{
		Use: evolution.Subcommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return evolution.Child(command.Context(), os.Stdin, os.Stdout)
		},
	}
}

// fleetCommand is what the scenario fleet starts, so that each approach has connections
// and memory of its own.
func fleetCommand() *cobra.Command {
	return &cobra.Command{
		Use: fleet.Subcommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return fleet.Child(command.Context(), os.Stdin, os.Stdout)
		},
	}
}

// dashboardCommand is what the scenario dashboard starts, so that the clients give way to what is
// measured.
func dashboardCommand() *cobra.Command {
	return &cobra.Command{
		Use: dashboard.Subcommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return dashboard.Child(command.Context(), os.Stdin, os.Stdout)
		},
	}
}
