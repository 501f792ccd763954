package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/tune"
)

const (
	// leastInterval bounds how often the server is asked.
	leastInterval = time.Second
	// limitsInterval is how often the limits are read, which seldom change.
	limitsInterval = 10 * time.Second
	// jitter is the part of an interval by which it is shorter or longer, so that many who
	// watch do not ask at once.
	jitter = 0.1
)

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

// watched is the queue, seen again and again.
type watched struct {
	o       *options
	metrics string
	every   time.Duration

	mu        sync.Mutex // one look at a time, and none behind the end
	connected *connection
	limits    limits
}

// limits are the controller's, as they were read last.
type limits struct {
	from  *controllerMetrics
	at    time.Time
	known map[string]tune.LaneLimit
	// why is why they are not known.
	why string
}

func (w *watched) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected != nil {
		w.connected.close()
	}
	if w.limits.from != nil {
		w.limits.from.close()
	}
}

// interval is the time until the next look.
func (w *watched) interval() time.Duration {
	return time.Duration(float64(w.every) * (1 - jitter + 2*jitter*rand.Float64()))
}

// look asks the server once. After an error the next look connects anew, as to another pod.
func (w *watched) look(ctx context.Context) (summary rest.QueueSummary, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected == nil {
		if w.connected, err = w.o.connect(ctx); err != nil {
			return summary, err
		}
	}
	query := url.Values{}
	if w.o.namespace != "" {
		query.Set("namespace", w.o.namespace)
	}
	err = w.connected.get(ctx, path("queue", "summary"), query, &summary)
	if err != nil {
		w.connected.close()
		w.connected = nil
		return summary, err
	}
	w.lookAtLimits(ctx)
	return summary, nil
}

// lookAtLimits reads them where it is time. Without them the rest is shown.
func (w *watched) lookAtLimits(ctx context.Context) {
	if time.Since(w.limits.at) < limitsInterval {
		return
	}
	w.limits.at = time.Now()
	var err error
	if w.limits.from == nil {
		if w.limits.from, err = w.o.controllerMetrics(ctx, w.metrics); err != nil {
			w.limits.known, w.limits.why = nil, err.Error()
			return
		}
	}
	seen, err := w.limits.from.read(ctx)
	if err != nil {
		w.limits.from.close()
		w.limits = limits{at: w.limits.at, why: err.Error()}
		return
	}
	w.limits.known, w.limits.why = seen.Lanes, ""
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
