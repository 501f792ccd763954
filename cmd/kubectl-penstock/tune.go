package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/tune"
)

// tuneAnswer is all that tune prints.
type tuneAnswer struct {
	Inputs tune.Inputs `json:"inputs"`
	// From tells of each input where it is from.
	From   map[string]string `json:"from"`
	Advice tune.Advice       `json:"advice"`
	// Now is absent where the metrics are not read.
	Now   *tune.Now `json:"now,omitempty"`
	Notes []string  `json:"notes,omitempty"`
}

func tuneCommand(o *options) *cobra.Command {
	g := &tuneFlags{}
	command := &cobra.Command{
		Use: "tune", Short: "Compute the batch size that each limit allows, and name the one that binds",
		Long: `Compute the batch size (CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE) that each limit allows, name the one
that binds, and compare it with what the controller's metrics say now.

What is not given by a flag is read from the live settings and metrics; what is not known from
there is asked for, where there is a terminal. The metrics are read from the pod that leads, by
a port-forward with your own rights, which needs create on pods/portforward in the namespace
--server-namespace: penstock server does not have them. --metrics names another way to them,
--offline reads nothing. Nothing is changed: kubectl penstock settings set does that.`,
		Example: "  kubectl penstock tune\n  kubectl penstock tune --offline --qps 200 --latency 100ms --connections 20 --memory 512Mi --cores 2",
		Args:    arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := o.validOutput(); err != nil {
				return err
			}
			answer, err := o.tune(command, g)
			if err != nil {
				return err
			}
			return o.printTune(command, answer)
		},
	}
	g.bind(command.Flags())
	return command
}

// tune gathers what is known, and computes.
func (o *options) tune(command *cobra.Command, g *tuneFlags) (tuneAnswer, error) {
	known, err := g.inputs()
	if err != nil {
		return tuneAnswer{}, err
	}
	answer := tuneAnswer{}
	var seen *seen
	if !g.offline {
		o.learnSettings(command.Context(), known, &answer)
		if seen, err = o.seen(command.Context(), g); err != nil {
			if command.Context().Err() != nil {
				return tuneAnswer{}, err
			}
			answer.Notes = append(answer.Notes, "The metrics are not read: "+err.Error())
		}
		known.learnMetrics(seen)
	}
	if isTerminal(command.InOrStdin()) && o.output == "table" {
		if err := known.ask(command.InOrStdin(), command.ErrOrStderr()); err != nil {
			return tuneAnswer{}, err
		}
	}
	known.assume()
	answer.Inputs, answer.From, answer.Advice = known.Inputs, known.from, tune.Advise(known.Inputs)
	if seen != nil {
		now := tune.Compare(known.Inputs, answer.Advice, seen.before, seen.after, seen.elapsed)
		answer.Now = &now
	}
	return answer, nil
}

// seen is what the metrics said at two moments.
type seen struct {
	before, after tune.Snapshot
	elapsed       time.Duration
}

// seen reads the metrics twice, a while apart, since a rate is the difference of two.
func (o *options) seen(ctx context.Context, g *tuneFlags) (*seen, error) {
	metrics, err := o.controllerMetrics(ctx, g.metrics)
	if err != nil {
		return nil, err
	}
	defer metrics.close()
	before, err := metrics.read(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(g.sample):
	}
	after, err := metrics.read(ctx)
	if err != nil {
		return nil, err
	}
	return &seen{before: before, after: after, elapsed: time.Since(began)}, nil
}

func (o *options) printTune(command *cobra.Command, answer tuneAnswer) error {
	out := command.OutOrStdout()
	for _, note := range answer.Notes {
		fmt.Fprintln(command.ErrOrStderr(), printable(note))
	}
	if o.output != "table" && o.output != "wide" {
		return o.print(out, command.ErrOrStderr(), answer, table{names: []string{strconv.Itoa(answer.Advice.BatchSize)}})
	}
	bounds := table{head: []string{"LIMIT", "ALLOWS", "BINDS", "REASONING"}, wide: 4}
	binding := "nothing that is known"
	for _, bound := range answer.Advice.Bounds {
		row := []string{bound.Limit, strconv.Itoa(bound.Allows), "", bound.Reasoning}
		switch {
		case !bound.Known:
			row[1] = "?"
		case bound.Allows == 0:
			row[1] = "any"
		case bound.Binds:
			row[2], binding = "yes", "the limit "+bound.Limit
		}
		bounds.rows = append(bounds.rows, row)
	}
	for _, one := range []table{inputsTable(answer), bounds} {
		if err := o.print(out, command.ErrOrStderr(), answer, one); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Batch size: %d, bound by %s. At most %.4g triggers/s, which takes %.3g in flight.\n",
		answer.Advice.BatchSize, binding, answer.Advice.PerSecond, answer.Advice.Needed)
	if now := answer.Now; now != nil {
		fmt.Fprintf(out, "Now: limit %g, %g in flight, %g wait. %.3g triggers/s × %s for a create = %.3g in flight needed.\n%s\n",
			now.Limit, now.InFlight, now.Waiting, now.PerSecond, now.Latency, now.Needed, now.Verdict)
	}
	return nil
}
