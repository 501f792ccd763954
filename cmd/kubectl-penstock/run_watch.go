package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// nextWait is for how long it is looked whether a new run has to wait for something.
	nextWait = 5 * time.Second
	// retryGrace is how long a stage that is tried again may look as if it had ended.
	retryGrace = 10 * time.Second
)

// watchedRun is the run that a request has made or changed, as its CdPipeline tells of it.
type watchedRun struct {
	pipeline, build string
	run             int64
}

func watchedBy(request *v1alpha1.RunRequest) *watchedRun {
	w := &watchedRun{pipeline: request.Spec.PipelineRef.Name, run: request.Status.Run}
	if request.Spec.BuildRef != nil {
		w.build = request.Spec.BuildRef.Name
	}
	return w
}

// of returns what the pipeline tells of the run; nil where it tells nothing yet. A build of
// several artifacts has several runs: the newest stands for all. overtaken tells that the
// pipeline tells of a newer build alone.
func (w *watchedRun) of(pipeline *v1alpha1.CdPipeline) (last *v1alpha1.LastRun, overtaken bool) {
	last = pipeline.Status.LastRun
	if last == nil || last.Run < w.run {
		return nil, false
	}
	if w.build == "" {
		w.build = last.BuildName
	}
	return last, last.Run != w.run && last.BuildName != w.build
}

// tellNext says what a new run waits for, and where to look.
func (p *caller) tellNext(command *cobra.Command, request *v1alpha1.RunRequest) {
	about := watchedBy(request)
	starts := slices.Contains([]v1alpha1.Action{v1alpha1.ActionTrigger, v1alpha1.ActionRetry, v1alpha1.ActionRollback}, request.Spec.Action)
	if starts {
		if last := p.settled(command.Context(), about); last != nil && last.Phase == "Held" {
			fmt.Fprintf(command.ErrOrStderr(), "note: stage %s of run %d waits: %s\n", last.Stage, last.Run, printable(last.Message))
		}
	}
	fmt.Fprintf(command.ErrOrStderr(), "See: kubectl penstock runs %s -n %s\n", about.pipeline, p.namespace)
}

// settled looks at a new run until it has its Workflow or is held, for a short while.
func (p *caller) settled(ctx context.Context, about *watchedRun) *v1alpha1.LastRun {
	ctx, cancel := context.WithTimeout(ctx, nextWait)
	defer cancel()
	ticker := time.NewTicker(answerInterval)
	defer ticker.Stop()
	for {
		pipeline := &v1alpha1.CdPipeline{}
		if err := p.cluster.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: about.pipeline}, pipeline); err != nil {
			return nil
		}
		last, overtaken := about.of(pipeline)
		if overtaken || last != nil && last.Phase != "Pending" && last.Phase != "Submitting" {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// watchRun writes a line for each change of a run until it has ended.
func (p *caller) watchRun(command *cobra.Command, out io.Writer, request *v1alpha1.RunRequest) error {
	about, ctx := watchedBy(request), command.Context()
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	told, since := "", time.Now()
	for {
		pipeline := &v1alpha1.CdPipeline{}
		err := p.cluster.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: about.pipeline}, pipeline)
		if err != nil && ctx.Err() == nil {
			return withRole(fmt.Errorf("get CdPipeline %s: %w", about.pipeline, err), "CdPipelines", roleFor(request.Spec))
		}
		last, overtaken := about.of(pipeline)
		if overtaken {
			return &exitError{code: exitPartial, err: fmt.Errorf("run %d can't be watchedRun any more, since run %d of build %s has come: kubectl penstock runs %s -n %s tells what became of it",
				about.run, last.Run, last.BuildName, about.pipeline, p.namespace)}
		}
		if last != nil {
			if line := lineOf(last); line != told {
				fmt.Fprintln(out, printable(line))
				told, since = line, time.Now()
			}
			if hasEnded(pipeline, last) && (!isRetried(pipeline, last) || time.Since(since) > retryGrace) {
				return verdictOfRun(request.Spec.Action, last)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted: run %d goes on; kubectl penstock cancel run %d --pipeline %s -n %s ends it", about.run, about.run, about.pipeline, p.namespace)
		case <-ticker.C:
		}
	}
}

func lineOf(last *v1alpha1.LastRun) string {
	line := fmt.Sprintf("run %d of build %s: %s %s", last.Run, last.BuildName, last.Stage, last.Phase)
	if last.Message != "" {
		line += ": " + last.Message
	}
	return line
}

// verdictOfRun is nil where the run ended as was asked for.
func verdictOfRun(action v1alpha1.Action, last *v1alpha1.LastRun) error {
	if last.Phase == "Succeeded" || (last.Phase == "Cancelled" && action == v1alpha1.ActionCancel) {
		return nil
	}
	return fmt.Errorf("run %d of build %s ended as %s", last.Run, last.BuildName, last.Phase)
}
