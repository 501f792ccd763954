package main

import (
	"fmt"
	"io"

	"github.com/penstock-cd/penstock/api/rest"
)

// elsewhere names the Workflow of a run in a TargetCluster, with the commands that show it and its
// logs there. It is an error, since no logs are printed.
func elsewhere(errOut io.Writer, run rest.RunDetail, stage rest.Stage) error {
	fmt.Fprintf(errOut, "%s of run %d, pipeline %s, build %s: Workflow %s in namespace %s of TargetCluster %s, %s\n",
		stage.Stage, run.ID, printable(run.Pipeline), printable(run.Build), stage.WorkflowName, run.Namespace, printable(run.Cluster), reasoned(stage.State, stage.Reason))
	for _, text := range []string{
		"kubectl --context CONTEXT -n %s get workflow %s -o yaml\n",
		"argo --context CONTEXT -n %s logs %s\n",
		"kubectl --context CONTEXT -n %s logs -l " + workflowLabel + "=%s --all-containers\n",
	} {
		fmt.Fprintf(errOut, "  "+text, run.Namespace, stage.WorkflowName)
	}
	return &exitError{code: exitPartial, err: fmt.Errorf("run %d is in TargetCluster %s, whose pods are not in this cluster: run one of these with a CONTEXT of your kubeconfig that leads there", run.ID, printable(run.Cluster))}
}
