package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func explainCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use: "explain build|pipeline|run NAME", Short: "Say why something is as it is, what it waits for, and what changes that",
		Long: `Say, for each pipeline: what was decided, by which rule and when; what it waits for now; what
came of it; and the command that changes it. A pipeline is explained by the last build that
came to it, a run by its number.`,
		Example: "  kubectl penstock explain build checkout-42\n  kubectl penstock explain pipeline checkout-production\n  kubectl penstock explain run 812",
		Args:    arguments(cobra.ExactArgs(2)),
		RunE: func(command *cobra.Command, args []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			switch args[0] {
			case "build", "cibuild":
				return o.explainBuild(command, connected, args[1])
			case "pipeline", "cdpipeline":
				return o.explainPipeline(command, connected, args[1])
			case "run":
				return o.explainRun(command, connected, args[1])
			default:
				return usage("explain %s: must be build, pipeline or run", args[0])
			}
		},
	}
	return command
}

func (o *options) explainBuild(command *cobra.Command, connected *connection, name string) error {
	var explained rest.BuildExplanation
	for query := (url.Values{"limit": {"500"}}); ; {
		var page rest.BuildExplanation
		if err := connected.get(command.Context(), path("namespaces", connected.namespace, "builds", name, "explanation"), query, &page); err != nil {
			return err
		}
		page.Pipelines = append(explained.Pipelines, page.Pipelines...)
		if explained = page; page.Next == "" {
			break
		}
		query.Set("cursor", page.Next)
	}
	return o.printExplanation(command, explained, explained.Summary, explained.Commands, explained.Pipelines)
}

func (o *options) explainPipeline(command *cobra.Command, connected *connection, name string) error {
	var explained rest.PipelineExplanations
	if err := connected.get(command.Context(), path("namespaces", connected.namespace, "pipelines", name, "explanation"), nil, &explained); err != nil {
		return err
	}
	return o.printExplanation(command, explained, explained.Summary, explained.Commands, explained.Pipelines)
}

func (o *options) explainRun(command *cobra.Command, connected *connection, number string) error {
	if id, err := strconv.ParseInt(number, 10, 64); err != nil || id < 1 {
		return usage("explain run %s: must be the number of a run, as kubectl penstock runs PIPELINE lists them", number)
	}
	var explained rest.PipelineExplanation
	if err := connected.get(command.Context(), path("namespaces", connected.namespace, "runs", number, "explanation"), nil, &explained); err != nil {
		return err
	}
	return o.printExplanation(command, explained, "", nil, []rest.PipelineExplanation{explained})
}

// printExplanation writes an answer as text, or in the form that -o asks for.
func (o *options) printExplanation(command *cobra.Command, answer any, summary string, commands []string, pipelines []rest.PipelineExplanation) error {
	out := command.OutOrStdout()
	if o.output != "table" && o.output != "wide" {
		var t table
		for _, pipeline := range pipelines {
			t.names = append(t.names, "cdpipeline/"+pipeline.Pipeline)
		}
		return o.print(out, command.ErrOrStderr(), answer, t)
	}
	if summary != "" {
		fmt.Fprintln(out, printable(sentence(summary)))
		for _, one := range commands {
			fmt.Fprintln(out, "  $ "+printable(one))
		}
	}
	for i, pipeline := range pipelines {
		if i > 0 || summary != "" {
			fmt.Fprintln(out)
		}
		writePipeline(out, pipeline)
	}
	return nil
}

// writePipeline writes one line for each thing that is known of a pipeline.
func writePipeline(out io.Writer, p rest.PipelineExplanation) {
	fmt.Fprintln(out, printable(headOf(p)))
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-8s %s\n", label, printable(text))
		}
	}
	line("image", p.Image)
	line("decided", p.Decided+since(" (", p.At, ")"))
	line("rule", p.Rule)
	for _, became := range p.Became {
		line("so far", became)
	}
	if p.Waits != "" {
		line("waits", "for "+p.Waits)
	}
	line("since", since("", p.Since, ""))
	for _, command := range p.Commands {
		line("change", "$ "+command)
	}
}

func headOf(p rest.PipelineExplanation) string {
	head := p.Pipeline
	if p.Build != "" {
		head += ", build " + p.Build
	}
	if p.Run != 0 {
		head += fmt.Sprintf(", run %d%s: %s %s", p.Run, inCluster(p.Cluster), p.Stage, p.State)
	}
	return head
}

// inCluster names a TargetCluster; empty at home.
func inCluster(cluster string) string {
	if cluster == "" {
		return ""
	}
	return " in cluster " + cluster
}

// since is a time between two texts; empty where there is none.
func since(before string, at *time.Time, behind string) string {
	if at == nil {
		return ""
	}
	return before + at.UTC().Format(time.RFC3339) + behind
}

// sentence begins a text with a capital letter, and ends it.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
