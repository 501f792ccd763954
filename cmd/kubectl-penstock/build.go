package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// buildOptions are the flags of build.
type buildOptions struct {
	*options
	revision, ref, reason string
	watch                 bool
}

func buildCommand(o *options) *cobra.Command {
	b := &buildOptions{options: o}
	command := &cobra.Command{
		Use: "build PIPELINE", Short: "Build a CiPipeline whose builds run here",
		Long: `Build a CiPipeline whose builds run here: create a CiBuild with your own credentials, and
print its name. You need the right to create cibuilds and to get cipipelines, as the ClusterRole
penstock-builder grants it.

--revision is what is built; by default it is spec.source.revision of the CiPipeline. Builds of
one --ref take turns, as spec.concurrencyPolicy of the CiPipeline says.

With --watch, print a line for each change until the build has ended, and every run that it
triggers has its Workflow. Interrupting that leaves the build as it is.

Exit codes: 0 the build was created or, with --watch, has succeeded; 1 it has not; 4 you have no
right to do so.`,
		Example: "  kubectl penstock build shop\n  kubectl penstock build shop --revision 4f1c2d9 --ref main --reason 'try the new compiler' --watch",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE:    func(command *cobra.Command, args []string) error { return b.build(command, args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&b.revision, "revision", "", "commit, tag or branch to build; by default spec.source.revision of the CiPipeline")
	flags.StringVar(&b.ref, "ref", "", "branch or tag that the revision is of, without refs/heads/")
	flags.StringVar(&b.reason, "reason", "", "why you build, for everybody who reads the history")
	flags.BoolVarP(&b.watch, "watch", "w", false, "wait for its end, and for the Workflows of the runs that it triggers")
	return completing(command, o, "CiPipeline", nil)
}

func (b *buildOptions) build(command *cobra.Command, name string) error {
	who, err := b.caller()
	if err != nil {
		return err
	}
	pipeline, err := who.buildable(command.Context(), name)
	if err != nil {
		return err
	}
	if pipeline.Spec.Suspend {
		fmt.Fprintf(command.ErrOrStderr(), "note: CiPipeline %s is suspended: the build starts when spec.suspend is false\n", name)
	}
	build := &v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{Namespace: who.namespace, GenerateName: name + "-"},
		Spec: v1alpha1.CiBuildSpec{
			PipelineRef: v1alpha1.PipelineReference{Name: name}, Revision: b.revision, Ref: b.ref,
			Cause: &v1alpha1.BuildCause{Type: v1alpha1.CauseManual, By: who.name(command.Context(), maxCauseBy), Message: b.reason},
		},
	}
	if err := who.cluster.Create(command.Context(), build); err != nil {
		return withRole(fmt.Errorf("create a CiBuild of CiPipeline %s: %w", name, err), "CiBuilds", "penstock-builder")
	}
	build.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CiBuild"} // the answer has none
	created := table{head: []string{"BUILD"}, rows: [][]string{{build.Name}}, wide: 1, names: []string{"cibuild/" + build.Name}}
	if b.output == "table" || b.output == "wide" {
		fmt.Fprintln(command.OutOrStdout(), "cibuild/"+build.Name, "created")
	} else if err := b.print(command.OutOrStdout(), command.ErrOrStderr(), build, created); err != nil {
		return err
	}
	if !b.watch {
		return nil
	}
	return who.watch(command, build)
}

// buildable returns a CiPipeline whose builds run here.
func (p *caller) buildable(ctx context.Context, name string) (*v1alpha1.CiPipeline, error) {
	pipeline := &v1alpha1.CiPipeline{}
	err := p.cluster.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: name}, pipeline)
	switch {
	case apierrors.IsNotFound(err):
		return nil, p.unknown(ctx, "CiPipeline", name)
	case err != nil:
		return nil, withRole(fmt.Errorf("get CiPipeline %s: %w", name, err), "CiPipelines", "penstock-builder")
	case pipeline.Spec.Workflow == nil:
		return nil, fmt.Errorf("CiPipeline %s has no spec.workflow: its builds run elsewhere, and whoever runs one creates a CiBuild and "+
			"finishes it by a patch of its status: phase and artifacts", name)
	}
	return pipeline, nil
}
