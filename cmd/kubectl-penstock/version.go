package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func versionCommand(o *options) *cobra.Command {
	var clientOnly bool
	command := &cobra.Command{
		Use: "version", Short: "Print the versions of the plugin and of the server",
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			fmt.Fprintln(command.OutOrStdout(), "plugin:", version)
			if clientOnly {
				return nil
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var document struct {
				Info struct {
					Version string `json:"version"`
				} `json:"info"`
			}
			if err := connected.get(command.Context(), "/openapi.json", nil, &document); err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), "server:", document.Info.Version)
			return nil
		},
	}
	command.Flags().BoolVar(&clientOnly, "client", false, "of the plugin alone")
	return command
}
