package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const clusterAskHelp = `

It creates a RunRequest with your own credentials, waits for its answer, and prints it. You need the right
to create runrequests, and the verb %s on the targetcluster, as the ClusterRole
penstock-cluster-operator grants both.`

func confirmClusterCommand(o *options) *cobra.Command {
	return steerClusterCommand(o, v1alpha1.ActionResume, &cobra.Command{
		Use: "confirm NAME", Short: "Let runs go to the cluster that answers under a name now",
		Long: `Confirm that the cluster which answers under the name of a TargetCluster now is the one that is meant. Runs of
a name wait for that where another cluster answers than the one where their Workflows are, so that
none is created twice.

What had begun in the cluster of before ends as Error/ClusterChanged: look there what became of it. Where
another TargetCluster is the same cluster, its unfinished runs become those of NAME.` + fmt.Sprintf(clusterAskHelp, "resume"),
		Example: "  kubectl penstock clusters confirm eu-1 --reason 'the cluster was built anew'",
	})
}

func giveUpClusterCommand(o *options) *cobra.Command {
	return steerClusterCommand(o, v1alpha1.ActionCancel, &cobra.Command{
		Use: "give-up NAME", Short: "End what has begun in a cluster that does not answer",
		Long: `End the stages and builds that have begun in a TargetCluster whose lane is shut, so that their pipelines can go
on elsewhere: nobody can tell what becomes of their Workflows, which may go on there. They end as
Error/ClusterChanged. What has not begun goes on waiting for the cluster.` + fmt.Sprintf(clusterAskHelp, "cancel"),
		Example: "  kubectl penstock clusters give-up eu-1 --reason 'the cluster is lost'",
	})
}

// steerClusterCommand asks for an action on a TargetCluster.
func steerClusterCommand(o *options, action v1alpha1.Action, command *cobra.Command) *cobra.Command {
	a := &asking{options: o, action: action}
	command.Args = arguments(cobra.ExactArgs(1))
	a.bindReason(command.Flags())
	command.RunE = func(command *cobra.Command, args []string) error {
		who, err := a.caller()
		if err != nil {
			return err
		}
		return a.ask(command, who, v1alpha1.RunRequestSpec{
			Target: &v1alpha1.ObjectReference{Kind: "TargetCluster", Name: strings.TrimPrefix(args[0], "targetcluster/")},
		})
	}
	return completing(command, o, "TargetCluster", nil)
}
