package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func triggerCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionTrigger}
	command := &cobra.Command{
		Use: "trigger PIPELINE --build BUILD", Short: "Run a CdPipeline for a build, whatever was decided for it",
		Long: `Run a CdPipeline for a build, whatever was decided for it, and the pipelines below after it. The build
must have succeeded. One that is older than what had its turn is deployed with --allow-older alone.

With --watch, print a line for each change until the run has ended. Interrupting that leaves the run as
it is.` + fmt.Sprintf(asksHelp, "trigger", "cdpipeline", "penstock-triggerer"),
		Example: "  kubectl penstock trigger checkout-staging --build checkout-1 --reason 'the database was restored' --watch\n" +
			"  kubectl penstock trigger checkout-prod --build checkout-1 --allow-older",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			if a.build == "" {
				return usage("name the build to run the pipeline for by --build: kubectl get cibuilds lists them")
			}
			spec := v1alpha1.RunRequestSpec{BuildRef: &v1alpha1.PipelineReference{Name: strings.TrimPrefix(a.build, "cibuild/")}}
			return a.askAboutPipeline(command, args, spec)
		},
	}
	flags := command.Flags()
	flags.StringVar(&a.build, "build", "", "name of the CiBuild; required")
	flags.BoolVar(&a.allowOlder, "allow-older", false, "deploy the build although a newer one had its turn")
	a.bindReason(flags)
	a.bindWatch(flags)
	return completing(command, o, "CdPipeline", flagKinds)
}

func rollbackCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionRollback}
	command := &cobra.Command{
		Use: "rollback PIPELINE", Short: "Deploy what a CdPipeline deployed before",
		Long: `Deploy the build that the CdPipeline deployed, and of which a run succeeded, before the one that is deployed
now. The pipelines below stay as they are.

With --watch, print a line for each change until the run has ended. Interrupting that leaves the run as
it is.` + fmt.Sprintf(asksHelp, "rollback", "cdpipeline", "penstock-triggerer"),
		Example: "  kubectl penstock rollback checkout-prod --reason 'payments fail' --watch",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			return a.askAboutPipeline(command, args, v1alpha1.RunRequestSpec{})
		},
	}
	a.bindReason(command.Flags())
	a.bindWatch(command.Flags())
	return completing(command, o, "CdPipeline", flagKinds)
}

// askAboutPipeline asks for an action on the CdPipeline that the argument names.
func (a *asking) askAboutPipeline(command *cobra.Command, args []string, spec v1alpha1.RunRequestSpec) error {
	name, err := pipelineArgument(command, args)
	if err != nil {
		return err
	}
	who, err := a.caller()
	if err != nil {
		return err
	}
	if _, err := who.pipeline(command.Context(), name); err != nil {
		return err
	}
	spec.PipelineRef = &v1alpha1.PipelineReference{Name: name}
	return a.ask(command, who, spec)
}
