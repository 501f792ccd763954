package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func cancelCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionCancel}
	return a.steerCommand(subjectBuild, &cobra.Command{
		Use: "cancel BUILD | RUN | cdpipeline/NAME", Short: "Cancel a build that runs here, or a run of a CdPipeline",
		Long: `Cancel a build that runs here, or a run of a CdPipeline: what waits ends at once, and the Workflow of what
runs is stopped. A number is a run, cdpipeline/NAME the build whose run in a CdPipeline came last, and another
name a build.` + fmt.Sprintf(asksHelp, "cancel", "cdpipeline or cibuild", "penstock-triggerer or penstock-builder"),
		Example: "  kubectl penstock cancel shop-x7k2p --reason 'wrong branch'\n  kubectl penstock cancel run 42\n" +
			"  kubectl penstock cancel cdpipeline/checkout-staging --build checkout-1 --watch",
	})
}

func retryCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionRetry}
	command := a.steerCommand(subjectBuild, &cobra.Command{
		Use: "retry BUILD | RUN | cdpipeline/NAME", Short: "Build the same again, or run a CdPipeline again from the stage that failed",
		Long: `Build the same again, as a build of its own, or run a CdPipeline again from the stage that failed on, as a run
of its own. A number is a run, cdpipeline/NAME the build whose run in a CdPipeline came last, and another name
a build.` + fmt.Sprintf(asksHelp, "retry", "cdpipeline or cibuild", "penstock-triggerer or penstock-builder"),
		Example: "  kubectl penstock retry shop-x7k2p --reason 'the registry is back'\n  kubectl penstock retry run 42 --watch\n" +
			"  kubectl penstock retry cdpipeline/checkout-staging --stage POST",
	})
	command.Flags().BoolVar(&a.allowOlder, "allow-older", false, "deploy the build although a newer one had its turn")
	a.bindStage(command, "the stage to begin with; by default the one that failed")
	return command
}

func resumeCommand(o *options) *cobra.Command {
	a := &asking{options: o, action: v1alpha1.ActionResume}
	command := a.steerCommand(subjectPipeline, &cobra.Command{
		Use: "resume PIPELINE | RUN", Short: "Approve a stage that waits for a person",
		Long: `Let a stage start that waits for a person. With --reason, one that waits for a window or for the end of a freeze
starts in spite of it. A number is a run, and a name a CdPipeline, where the runs of the build that waits go on.
Where several builds wait, name one by --build.` +
			fmt.Sprintf(asksHelp, "resume", "cdpipeline", "penstock-approver"),
		Example: "  kubectl penstock resume checkout-prod\n  kubectl penstock resume run 42 --stage POST --reason 'QA has signed off'",
	})
	a.bindStage(command, "the stage to start; by default every one that waits")
	return command
}

func (a *asking) bindStage(command *cobra.Command, meaning string) {
	command.Flags().StringVar(&a.stage, "stage", "", "PRE, DEPLOY or POST: "+meaning)
	completeFlag(command, "stage", func(*cobra.Command, string) []string { return stageNames })
}

// steerCommand asks for an action on a build, a run or a CdPipeline. bare is what a name
// without a kind is.
func (a *asking) steerCommand(bare string, command *cobra.Command) *cobra.Command {
	command.Args = arguments(cobra.RangeArgs(1, 2))
	command.RunE = func(command *cobra.Command, args []string) error {
		about, err := a.about(command, args, bare)
		if err != nil {
			return err
		}
		who, err := a.caller()
		if err != nil {
			return err
		}
		spec, err := a.specOf(command, who, about)
		if err != nil {
			return err
		}
		return a.ask(command, who, spec)
	}
	flags := command.Flags()
	flags.StringVar(&a.build, "build", "", "name of the CiBuild whose runs are meant; by default the one whose run in the CdPipeline came last, or which waits")
	flags.StringVar(&a.pipeline, "pipeline", "", "name of the CdPipeline that the run is of; by default it is looked up")
	a.bindReason(flags)
	a.bindWatch(flags)
	kind := map[string]string{subjectBuild: "CiBuild", subjectPipeline: "CdPipeline"}[bare]
	return completing(command, a.options, kind, flagKinds)
}

// stageNames are the stages in their order.
var stageNames = []string{"PRE", "DEPLOY", "POST"}

// about reads the arguments, and refuses flags that do not go with them.
func (a *asking) about(command *cobra.Command, args []string, bare string) (subject, error) {
	about, err := subjectOf(command, args, bare)
	if err != nil {
		return about, err
	}
	a.stage = strings.ToUpper(a.stage)
	switch {
	case about.kind == subjectBuild && a.action == v1alpha1.ActionResume:
		return about, usage("a build does not wait for a person: %s", command.UseLine())
	case about.kind == subjectBuild && a.isAboutRuns():
		return about, usage("%s is a build, and --build, --pipeline, --stage, --allow-older and --watch are about runs: write cdpipeline/NAME or a run's number for these", about.name)
	case about.kind == subjectRun && a.build != "":
		return about, usage("a run is of one build: leave out --build, or write cdpipeline/NAME instead of the number")
	case about.kind == subjectPipeline && a.pipeline != "":
		return about, usage("the pipeline is named twice: leave out --pipeline")
	case a.stage != "" && !slices.Contains(stageNames, a.stage):
		return about, usage("--stage %s: must be PRE, DEPLOY or POST", a.stage)
	}
	return about, nil
}

// isAboutRuns tells whether a flag is given that a build has no use for.
func (a *asking) isAboutRuns() bool {
	return a.build != "" || a.pipeline != "" || a.stage != "" || a.allowOlder || a.watch
}

// specOf says in a RunRequest what the command is about.
func (a *asking) specOf(command *cobra.Command, who *caller, about subject) (spec v1alpha1.RunRequestSpec, err error) {
	ctx := command.Context()
	switch about.kind {
	case subjectBuild:
		spec.Target = &v1alpha1.ObjectReference{Kind: "CiBuild", Name: about.name}
	case subjectRun:
		name := strings.TrimPrefix(a.pipeline, "cdpipeline/")
		if name == "" {
			if name, err = who.pipelineOfRun(ctx, a.options, about.run); err != nil {
				return spec, err
			}
		} else if _, err = who.pipeline(ctx, name); err != nil {
			return spec, err
		}
		spec.PipelineRef, spec.Run = &v1alpha1.PipelineReference{Name: name}, &about.run
	case subjectPipeline:
		build, err := a.buildIn(ctx, command.ErrOrStderr(), who, about.name)
		if err != nil {
			return spec, err
		}
		spec.PipelineRef, spec.BuildRef = &v1alpha1.PipelineReference{Name: about.name}, &v1alpha1.PipelineReference{Name: build}
	}
	return spec, nil
}

// buildIn is the build that is meant in a CdPipeline: that of --build, the only one that waits
// where one is to be resumed, or that of the run that came last.
func (a *asking) buildIn(ctx context.Context, errOut io.Writer, who *caller, name string) (string, error) {
	pipeline, err := who.pipeline(ctx, name)
	switch {
	case err != nil:
		return "", err
	case a.build != "":
		return strings.TrimPrefix(a.build, "cibuild/"), nil
	case pipeline == nil:
		return "", &exitError{code: exitRefused, err: fmt.Errorf("you have no right to get CdPipeline %s, so that its newest run is not known: name the build by --build", name)}
	case pipeline.Status.LastRun == nil:
		return "", fmt.Errorf("CdPipeline %s has no run: kubectl penstock trigger %s --build BUILD -n %s makes one", name, name, who.namespace)
	}
	last := pipeline.Status.LastRun.BuildName
	if a.action != v1alpha1.ActionResume {
		return last, nil
	}
	waiting, err := a.waitingBuild(ctx, name)
	if unknown := (errUnknownWaiting{}); errors.As(err, &unknown) {
		fmt.Fprintf(errOut, "This is about build %s, whose run came last: whether others wait is not known, since penstock server does not tell (%s).\n", last, printable(unknown.Error()))
		return last, nil
	}
	return cmp.Or(waiting, last), err
}
