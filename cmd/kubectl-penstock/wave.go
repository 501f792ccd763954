package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func waveCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use: "wave", Short: "Let a wave of rebuilds go on, or give it up",
		Long: `Let a wave of rebuilds go on that has stopped, or give one up.

Both create a RunRequest with your own credentials, wait for its answer, and print it. You need the
right to create runrequests, and the verb resume or cancel on the baseimage, as the ClusterRole
penstock-wave-operator grants both.`,
		SuggestionsMinimumDistance: 2,
		Args:                       subcommand,
		RunE:                       func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(
		steerWaveCommand(o, v1alpha1.ActionResume, &cobra.Command{
			Use: "resume BASEIMAGE", Short: "Let a wave go on that has stopped",
			Long: `Let the newest wave of a BaseImage go on that has stopped because too many builds have failed. As many
may fail again as rebuild.maxFailures says. What has failed is not built again by the wave.`,
			Example: "  kubectl penstock wave resume java-17 -n platform --reason 'the registry is back'",
		}),
		steerWaveCommand(o, v1alpha1.ActionCancel, &cobra.Command{
			Use: "stop BASEIMAGE", Short: "Give up a wave",
			Long: `Give up the newest wave of a BaseImage: builds that have begun go on, and no other begins. It can't
be resumed; the next change of the image starts a new wave of all that is built on it.`,
			Example: "  kubectl penstock wave stop java-17 -n platform --reason 'the image is broken'",
		}),
	)
	return command
}

// steerWaveCommand asks for an action on the wave of a BaseImage.
func steerWaveCommand(o *options, action v1alpha1.Action, command *cobra.Command) *cobra.Command {
	a := &asking{options: o, action: action}
	command.Args = arguments(cobra.ExactArgs(1))
	a.bindReason(command.Flags())
	command.RunE = func(command *cobra.Command, args []string) error {
		who, err := o.caller()
		if err != nil {
			return err
		}
		return a.ask(command, who, v1alpha1.RunRequestSpec{
			Target: &v1alpha1.ObjectReference{Kind: "BaseImage", Name: strings.TrimPrefix(args[0], "baseimage/")},
		})
	}
	return completing(command, o, "BaseImage", nil)
}
