package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/pause"
)

// leastInterval bounds how often the server is asked.
const leastInterval = time.Second

func topCommand(o *options) *cobra.Command {
	var plain, once bool
	var interval time.Duration
	var metrics string
	command := &cobra.Command{
		Use: "top", Short: "Watch the queue: what is in flight, waits, is held, and failed lately",
		Long: `Watch the queue: what is in flight against the limit, the lanes, the backlog, the gate and who holds
it, rate and latency, what waits longest and why, and what failed lately. It is of all namespaces that
you may read, or of -n.

Where there is a terminal the screen is drawn anew; q ends it. Elsewhere, or with --plain, lines are
printed for each interval. penstock server gets one request in each interval. The limits and the gate
are the controller's: they are read every 10 s from its metrics, by a port-forward with your own
rights or at --metrics; where that can't be, top says that they are not known.`,
		Example: "  kubectl penstock top\n  kubectl penstock top --plain --interval 10s\n  kubectl penstock top --once -o json",
		Args:    arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			if interval < leastInterval {
				return usage("--interval %s: must be at least %s, since each costs the server a request", interval, leastInterval)
			}
			w := &watched{o: o, metrics: metrics, every: interval}
			defer w.close()
			if o.output != "table" {
				once = true // a document has an end
			}
			if once {
				return w.once(command)
			}
			if plain || !isTerminal(command.InOrStdin()) || !isScreen(command.OutOrStdout()) {
				return w.printLines(command)
			}
			return w.show(command)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&plain, "plain", false, "print lines, also where there is a terminal")
	flags.BoolVar(&once, "once", false, "look once")
	flags.DurationVar(&interval, "interval", 2*time.Second, "time between two looks")
	flags.StringVar(&metrics, "metrics", "", "URL of the controller's metrics; by default a port-forward to the pod that leads")
	return command
}

func isScreen(out any) bool {
	file, ok := out.(*os.File)
	return ok && isTerminal(file)
}

func (w *watched) once(command *cobra.Command) error {
	summary, err := w.look(command.Context())
	if err != nil {
		return err
	}
	if w.o.output == "table" || w.o.output == "wide" {
		printFrame(command, frameOf(summary, w.limits.known, w.limits.why, summary.At))
		return nil
	}
	return w.o.print(command.OutOrStdout(), command.ErrOrStderr(), map[string]any{"summary": summary, "limits": w.limits.known}, table{})
}

// printLines prints a frame in each interval until it is interrupted. Only the first look
// must succeed.
func (w *watched) printLines(command *cobra.Command) error {
	ctx := command.Context()
	for first := true; ; first = false {
		summary, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // an interrupt is how top ends
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintln(command.ErrOrStderr(), printable(err.Error()))
		default:
			printFrame(command, frameOf(summary, w.limits.known, w.limits.why, summary.At))
		}
		if !pause.For(ctx, w.interval()) {
			return nil
		}
	}
}

func printFrame(command *cobra.Command, frame []topLine) {
	for _, line := range frame {
		fmt.Fprintf(command.OutOrStdout(), "%-9s %s\n", line.label, printable(line.text))
	}
}
