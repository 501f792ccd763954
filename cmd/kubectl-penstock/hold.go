package main

import (
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/holding"
)

// holdHelp ends the help of hold and release.
const holdHelp = `

The command changes spec.hold of the CdPipeline with your own credentials, and keeps who you are and your
reason in its annotations penstock.dev/hold-by and penstock.dev/hold-reason. You need the right to get and
patch cdpipelines, as the ClusterRole penstock-holder grants it.

Exit codes: 0 done; 1 failed; 4 you have no right to do so.`

func holdCommand(o *options) *cobra.Command {
	h := &holdOptions{options: o, hold: true}
	return h.command(&cobra.Command{
		Use: "hold PIPELINE", Short: "Let runs of a CdPipeline be planned, and wait",
		Long: `Hold a CdPipeline: builds are planned, and their runs wait until the pipeline is released. What runs already goes
on, and a stage behind it waits. spec.concurrencyPolicy says what becomes of several builds that wait.` + holdHelp,
		Example: "  kubectl penstock hold checkout-prod --reason 'stock-taking'",
	})
}

func releaseCommand(o *options) *cobra.Command {
	h := &holdOptions{options: o}
	return h.command(&cobra.Command{
		Use: "release PIPELINE", Short: "Let runs of a CdPipeline go on that was held",
		Long:    `Release a CdPipeline that is held: what waits goes on.` + holdHelp,
		Example: "  kubectl penstock release checkout-prod",
	})
}

// holdOptions is a command that changes spec.hold, and its flags.
type holdOptions struct {
	*options
	hold   bool
	reason string
}

func (h *holdOptions) command(command *cobra.Command) *cobra.Command {
	command.Args = arguments(cobra.ExactArgs(1))
	command.RunE = func(command *cobra.Command, args []string) error {
		name, err := pipelineArgument(command, args)
		if err != nil {
			return err
		}
		return h.run(command, name)
	}
	command.Flags().StringVar(&h.reason, "reason", "", "why, for everybody who looks at the pipeline")
	return completing(command, h.options, "CdPipeline", nil)
}

func (h *holdOptions) run(command *cobra.Command, name string) error {
	who, err := h.caller()
	if err != nil {
		return err
	}
	pipeline, err := who.pipeline(command.Context(), name)
	if err != nil {
		return err
	}
	if pipeline != nil && pipeline.Spec.Hold == h.hold {
		fmt.Fprintf(command.ErrOrStderr(), "note: CdPipeline %s %s\n", name, h.state(pipeline))
		return h.printPipeline(command, pipeline, false)
	}
	patch, err := holding.Change{Hold: h.hold, By: who.name(command.Context(), maxRequestBy), Reason: h.reason}.Patch()
	if err != nil {
		return err
	}
	pipeline = &v1alpha1.CdPipeline{ObjectMeta: metav1.ObjectMeta{Namespace: who.namespace, Name: name}}
	if err := who.cluster.Patch(command.Context(), pipeline, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return withRole(fmt.Errorf("patch CdPipeline %s: %w", name, err), "CdPipelines", "penstock-holder")
	}
	return h.printPipeline(command, pipeline, true)
}

// state says that there is nothing to change.
func (h *holdOptions) state(pipeline *v1alpha1.CdPipeline) string {
	if h.hold {
		return "is held already" + holderOf(pipeline)
	}
	return "is not held"
}

// holderOf is who holds a pipeline and why, as its annotations tell.
func holderOf(pipeline *v1alpha1.CdPipeline) string {
	text := ""
	if by := pipeline.Annotations[v1alpha1.AnnotationHoldBy]; by != "" {
		text += ", by " + by
	}
	if reason := pipeline.Annotations[v1alpha1.AnnotationHoldReason]; reason != "" {
		text += ": " + reason
	}
	if text == "" {
		return ""
	}
	return printable(text)
}

func (h *holdOptions) printPipeline(command *cobra.Command, pipeline *v1alpha1.CdPipeline, changed bool) error {
	out := command.OutOrStdout()
	if h.output != "table" && h.output != "wide" {
		pipeline.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CdPipeline"} // the answer has none
		return h.print(out, command.ErrOrStderr(), pipeline, table{names: []string{"cdpipeline/" + pipeline.Name}})
	}
	if !changed {
		return nil
	}
	if h.hold {
		fmt.Fprintf(out, "CdPipeline %s is held: runs are planned, and wait until kubectl penstock release %s -n %s\n", pipeline.Name, pipeline.Name, pipeline.Namespace)
	} else {
		fmt.Fprintf(out, "CdPipeline %s is released: what waits goes on\n", pipeline.Name)
	}
	return nil
}
