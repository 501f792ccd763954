package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Subcommand is how the bench starts itself for a process that has connections of its own.
const Subcommand = "fleet-client"

// setup is what a child is told first.
type setup struct {
	Clusters []endpoint
	// Home is a kubeconfig of the cluster that has the TargetClusters, and DatabaseURL that
	// of their history; only what probes needs them.
	Home        string
	DatabaseURL string
}

// order is what a child is told to do, and figures what it answers.
type (
	order struct {
		Do       string // the name of one of the deeds
		Approach string
		Rounds   int
		Want     int
		InFlight int
		Coalesce bool
	}
	figures struct {
		Err string `json:",omitempty"`

		Seconds, FirstSeconds, BareSeconds, SlowestSeconds, GoodSeconds float64

		Answered, Failed, Named         int
		PeakGoroutines, PeakConnections int
		RSSBytes                        int64
	}
)

// child is a process that has clients of clusters.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	encoder *json.Encoder
	decoder *json.Decoder
	stderr  bytes.Buffer
}

// spawn starts one, which ends with ctx, or with stop.
func spawn(ctx context.Context, given setup) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	c := &child{command: exec.CommandContext(ctx, self, Subcommand)}
	c.command.Stderr = &c.stderr
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("start client process: %w", err)
	}
	c.encoder, c.decoder = json.NewEncoder(c.in), json.NewDecoder(out)
	if err := c.encoder.Encode(given); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// do gives an order, and returns what was measured.
func (c *child) do(one order) (figures, error) {
	if err := c.encoder.Encode(one); err != nil {
		return figures{}, fmt.Errorf("%s: %w: %s", one.Do, err, c.stderr.Bytes())
	}
	var answer figures
	if err := c.decoder.Decode(&answer); err != nil {
		return figures{}, fmt.Errorf("%s: %w: %s", one.Do, err, c.stderr.Bytes())
	}
	if answer.Err != "" {
		return answer, fmt.Errorf("%s: %s", one.Do, answer.Err)
	}
	return answer, nil
}

// stop has the process end, and waits.
func (c *child) stop() error {
	_ = c.in.Close()
	if err := c.command.Wait(); err != nil {
		return fmt.Errorf("client process: %w: %s", err, c.stderr.Bytes())
	}
	return nil
}

// Child carries out orders until there are no more.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	input, output := json.NewDecoder(in), json.NewEncoder(out)
	var given setup
	if err := input.Decode(&given); err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	h, err := newHand(given)
	if err != nil {
		return err
	}
	defer h.close()
	deeds := map[string]func(context.Context, order) (figures, error){
		"connect": h.connect, "race": h.race, "health": h.health, "kinds": h.kinds, "down": h.down, "gets": h.gets, "batch": h.batch,
		"start-probes": h.startProbes, "probe-round": h.probeRound,
	}
	for {
		var one order
		if err := input.Decode(&one); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read order: %w", err)
		}
		answer, err := deeds[one.Do](ctx, one)
		if err != nil {
			answer.Err = err.Error()
		}
		if err := output.Encode(answer); err != nil {
			return err
		}
	}
}
