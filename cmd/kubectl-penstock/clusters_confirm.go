package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func confirmClusterCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionResume}
	command := &cobra.Command{
		Use: "confirm NAME", Short: "Let runs go to the cluster that answers under a name now",
		Long: `Confirm that the cluster which answers under the name of a TargetCluster now is the one that is meant. Runs of
a name wait for that where another cluster answers than the one where their Workflows are, so that
none is created twice.

What had begun in the cluster of before ends as Error/ClusterChanged: look there what became of it. Where
another TargetCluster is the same cluster, its unfinished runs become those of NAME.

It creates a RunRequest with your own credentials, waits for its answer, and prints it. You need the right
to create runrequests, and the verb resume on the targetcluster, as the ClusterRole
penstock-cluster-operator grants both.`,
		Example: "  kubectl penstock clusters confirm eu-1 --reason 'the cluster was built anew'",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			who, err := a.caller()
			if err != nil {
				return err
			}
			return a.ask(command, who, v1alpha1.RunRequestSpec{
				Target: &v1alpha1.ObjectReference{Kind: "TargetCluster", Name: strings.TrimPrefix(args[0], "targetcluster/")},
			})
		},
	}
	a.bindReason(command.Flags())
	return completing(command, o, "TargetCluster", nil)
}
