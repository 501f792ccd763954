package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/simulate"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// simulateOptions are the flags of simulate.
type simulateOptions struct {
	*options
	files, artifacts []string
}

func simulateCommand(o *options) *cobra.Command {
	s := &simulateOptions{options: o}
	command := &cobra.Command{
		Use: "simulate build NAME", Short: "Say what would be decided if a build succeeded now, from the cluster or from files",
		Long: `Say what would be decided for each pipeline if a build succeeded now, by the functions that the
controller decides with. Nothing is written.

Without -f, the CiPipelines, CdPipelines and CiBuilds of the namespace are read with your own
credentials: you need the rights to list them. With -f, no cluster is asked: the build and its
pipelines are those of the files, which are checked as the API server does, but for rules in CEL.

A freeze, the queue and the limits are left out. What other builds do in a pipeline is known from
its status.lastRun.

Exit codes: 0 done; 1 a pipeline is Blocked, such as by a broken filter, or there is no such build;
2 wrong usage, or a file is not valid; 4 you have no right to read the objects.`,
		Example: "  kubectl penstock simulate build checkout-42\n  kubectl penstock simulate build checkout-42 -f deploy/ -f build.yaml --artifact registry.example.com/checkout:1.5@sha256:…",
		Args:    arguments(cobra.ExactArgs(2)),
		RunE: func(command *cobra.Command, args []string) error {
			if args[0] != "build" {
				return usage("simulate %s: must be build", args[0])
			}
			return s.simulate(command, args[1])
		},
	}
	flags := command.Flags()
	flags.StringArrayVarP(&s.files, "filename", "f", nil, "file, folder with files, or - for the standard input, of CiPipelines, CdPipelines and CiBuilds; may be repeated")
	flags.StringArrayVar(&s.artifacts, "artifact", nil, "IMAGE@DIGEST that the build produces; may be repeated; by default those of its status")
	return command
}

func (s *simulateOptions) simulate(command *cobra.Command, name string) error {
	asked := simulate.Question{Build: name, Now: time.Now()}
	for _, artifact := range s.artifacts {
		image, digest, found := strings.Cut(artifact, "@")
		if !found || image == "" || digest == "" {
			return usage("--artifact %s: must be IMAGE@DIGEST", artifact)
		}
		asked.Artifacts = append(asked.Artifacts, v1alpha1.Artifact{Image: image, Digest: digest})
	}
	var err error
	if asked.Objects, err = s.objects(command.Context()); err != nil {
		return err
	}
	filters, err := trigger.NewFilters()
	if err != nil {
		return fmt.Errorf("prepare filters: %w", err)
	}
	simulated, err := simulate.Build(trigger.Decider{Filters: filters}, asked)
	if err != nil {
		return err
	}
	if err := s.printSimulation(command, simulated); err != nil {
		return err
	}
	return blockedOf(simulated)
}

// objects are those of the files, or of the namespace.
func (s *simulateOptions) objects(ctx context.Context) (*simulate.Objects, error) {
	if len(s.files) > 0 {
		objects, err := simulate.Read(s.files)
		var invalid *simulate.InvalidError
		if errors.As(err, &invalid) {
			return nil, usage("%w", err)
		}
		return objects, err
	}
	who, err := s.caller()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var cis v1alpha1.CiPipelineList
	var cds v1alpha1.CdPipelineList
	var builds v1alpha1.CiBuildList
	for kinds, list := range map[string]client.ObjectList{"CiPipelines": &cis, "CdPipelines": &cds, "CiBuilds": &builds} {
		if err := who.cluster.List(ctx, list, client.InNamespace(who.namespace)); err != nil {
			return nil, explainedOf(fmt.Errorf("list %s: %w", kinds, err), kinds)
		}
	}
	return &simulate.Objects{CiPipelines: cis.Items, CdPipelines: cds.Items, Builds: builds.Items}, nil
}

func (s *simulateOptions) printSimulation(command *cobra.Command, simulated *rest.Simulation) error {
	out, errOut := command.OutOrStdout(), command.ErrOrStderr()
	if s.output != "table" && s.output != "wide" {
		var t table
		for _, pipeline := range simulated.Pipelines {
			t.names = append(t.names, "cdpipeline/"+pipeline.Pipeline)
		}
		return s.print(out, errOut, simulated, t)
	}
	writeSimulation(out, simulated)
	for _, note := range simulated.Notes {
		fmt.Fprintln(errOut, "note:", printable(note))
	}
	return nil
}

func writeSimulation(out io.Writer, simulated *rest.Simulation) {
	for i, pipeline := range simulated.Pipelines {
		if i > 0 {
			fmt.Fprintln(out)
		}
		writePipeline(out, pipeline)
	}
}

// blockedOf is the error of a simulation in which pipelines are Blocked.
func blockedOf(simulated *rest.Simulation) error {
	var blocked []string
	for _, pipeline := range simulated.Pipelines {
		if pipeline.Outcome == string(v1alpha1.OutcomeBlocked) {
			blocked = append(blocked, pipeline.Pipeline)
		}
	}
	if len(blocked) == 0 {
		return nil
	}
	return fmt.Errorf("blocked: %s", strings.Join(blocked, ", "))
}
