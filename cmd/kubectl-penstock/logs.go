package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/penstock-cd/penstock/api/rest"
)

// logOptions are the flags of logs.
type logOptions struct {
	stage, container string
	tail             int64
	follow           bool
}

func logsCommand(o *options) *cobra.Command {
	var l logOptions
	command := &cobra.Command{
		Use: "logs RUN", Short: "Name the Argo Workflow of a run, and print the logs of its pods",
		Long: `Name the Argo Workflow of a run on stderr, with the commands of Argo and kubectl that show it, and
print the logs of its pods on stdout.

RUN is the number that kubectl penstock runs prints. Without --stage it is the last stage that has a
Workflow. The pods are read with your own rights, which takes list on pods and get on pods/log in
their namespace. Where the run is in a TargetCluster, the commands to use with a kubeconfig of that
cluster are printed instead, and the exit code is 3. Argo deletes pods and Workflows by their own rules: what is gone has no logs here.

At most 20 pods are shown, the last 200 lines of each unless --tail says otherwise, and 10 MiB of
each. Exit codes: 0 done, 3 some logs could not be read.`,
		Example: "  kubectl penstock logs 42\n  kubectl penstock logs 42 --stage PRE --tail 50\n  kubectl penstock logs 42 --follow",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(strings.TrimPrefix(args[0], "run/"), 10, 64)
			if err != nil || id < 1 {
				return usage("%s is no number of a run: kubectl penstock runs PIPELINE lists them", args[0])
			}
			if l.tail < -1 {
				return usage("--tail %d: must be -1 for all, or a number of lines", l.tail)
			}
			return o.logs(command, id, l)
		},
	}
	flags := command.Flags()
	flags.StringVar(&l.stage, "stage", "", "PRE, DEPLOY or POST; by default the last that has a Workflow")
	flags.StringVarP(&l.container, "container", "c", "main", "container of the pods")
	flags.Int64Var(&l.tail, "tail", 200, "most lines of each pod, from its end; -1 is all")
	flags.BoolVarP(&l.follow, "follow", "f", false, "go on until the Workflow has ended")
	return command
}

func (o *options) logs(command *cobra.Command, id int64, l logOptions) error {
	connected, err := o.connect(command.Context())
	if err != nil {
		return err
	}
	var run rest.RunDetail
	err = connected.get(command.Context(), path("namespaces", connected.namespace, "runs", strconv.FormatInt(id, 10)), nil, &run)
	connected.close()
	if err != nil {
		return err
	}
	stage, err := stageOf(run, l.stage)
	if err != nil {
		return err
	}
	if run.Cluster != "" {
		return elsewhere(command.ErrOrStderr(), run, stage)
	}
	fmt.Fprintf(command.ErrOrStderr(), "%s of run %d, pipeline %s, build %s: Workflow %s in namespace %s, %s\n  kubectl -n %s get workflow %s -o yaml\n  argo -n %s logs %s\n",
		stage.Stage, run.ID, printable(run.Pipeline), printable(run.Build), stage.WorkflowName, run.Namespace, reasoned(stage.State, stage.Reason),
		run.Namespace, stage.WorkflowName, run.Namespace, stage.WorkflowName)
	who, err := o.caller()
	if err != nil {
		return err
	}
	core, err := corev1.NewForConfig(who.config)
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	reader := &logReader{
		pods: core.Pods(run.Namespace), workflow: stage.WorkflowName, options: l, out: command.OutOrStdout(), errOut: command.ErrOrStderr(),
		isOver: func(ctx context.Context) (bool, error) {
			return who.isOver(ctx, types.NamespacedName{Namespace: run.Namespace, Name: stage.WorkflowName})
		},
	}
	return reader.read(command.Context())
}

// isOver tells whether Argo has ended a Workflow, or has deleted it.
func (p *caller) isOver(ctx context.Context, name types.NamespacedName) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	workflow := &metav1.PartialObjectMetadata{}
	workflow.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Workflow"})
	err := p.cluster.Get(ctx, name, workflow)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return workflow.Labels["workflows.argoproj.io/completed"] == "true", err
}

// stageOf is the stage that is meant. It must have a Workflow.
func stageOf(run rest.RunDetail, wanted string) (rest.Stage, error) {
	var last *rest.Stage
	var names []string
	for i, stage := range run.Stages {
		names = append(names, stage.Stage)
		if wanted != "" && !strings.EqualFold(stage.Stage, wanted) {
			continue
		}
		if stage.SubmittedAt != nil {
			last = &run.Stages[i]
		} else if wanted != "" {
			return rest.Stage{}, fmt.Errorf("%s of run %d has no Workflow yet: it is %s %s", stage.Stage, run.ID, reasoned(stage.State, stage.Reason), stage.Message)
		}
	}
	switch {
	case last != nil:
		return *last, nil
	case wanted != "":
		return rest.Stage{}, usage("--stage %s: run %d has the stages %s", wanted, run.ID, strings.Join(names, ", "))
	}
	return rest.Stage{}, fmt.Errorf("run %d has no Workflow yet: kubectl penstock runs %s tells what it waits for", run.ID, run.Pipeline)
}
