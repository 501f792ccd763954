package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	// Subcommand is how the bench starts itself for the process of the pages.
	Subcommand = "dashboard-pages"
	// niceness has the clients give way to all that is measured.
	niceness = "19"
)

type (
	// setup is what the process is told first.
	setup struct {
		URL    string
		CA     []byte
		Tokens []string // of the users
		Pages  []address
	}
	// address is the page of an application, the pipeline that builds trigger there, and the
	// number of the user who has it open.
	address struct {
		Application, Pipeline string
		User                  int
	}
	// job is what the process is told to do: open, reset, await the run of a build, or close.
	job struct{ Do, Build string }
	// figures is what it answers.
	figures struct {
		Err string `json:",omitempty"`
		// Updates counts pages that were fetched because something had changed, and Took is from
		// the time of each event until a page was there that was fetched after it.
		Updates int
		Took    []time.Duration
		// Refused are fetches that failed, and were tried again. Lost are streams that ended.
		Refused, Lost int
	}
)

// child is the process that has the pages.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	encoder *json.Encoder
	decoder *json.Decoder
	stderr  bytes.Buffer
}

// spawn starts it with the lowest priority. It ends with ctx, or with stop.
func spawn(ctx context.Context, given setup) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	c := &child{command: exec.CommandContext(ctx, "nice", "-n", niceness, self, Subcommand)}
	c.command.Stderr = &c.stderr
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("start process of pages: %w", err)
	}
	c.encoder, c.decoder = json.NewEncoder(c.in), json.NewDecoder(out)
	if err := c.encoder.Encode(given); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// do gives a job, and returns what was measured.
func (c *child) do(one job) (figures, error) {
	if err := c.encoder.Encode(one); err != nil {
		return figures{}, fmt.Errorf("%s pages: %w: %s", one.Do, err, c.stderr.Bytes())
	}
	var answer figures
	if err := c.decoder.Decode(&answer); err != nil {
		return figures{}, fmt.Errorf("%s pages: %w: %s", one.Do, err, c.stderr.Bytes())
	}
	if answer.Err != "" {
		return answer, fmt.Errorf("%s pages: %s", one.Do, answer.Err)
	}
	return answer, nil
}

// stop has the process end, and waits.
func (c *child) stop() error {
	_ = c.in.Close()
	if err := c.command.Wait(); err != nil {
		return fmt.Errorf("process of pages: %w: %s", err, c.stderr.Bytes())
	}
	return nil
}

// Child has pages until there are no more jobs.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	input, output := json.NewDecoder(in), json.NewEncoder(out)
	var given setup
	if err := input.Decode(&given); err != nil {
		return fmt.Errorf("read setup: %w", err)
	}
	all := newBrowsers(given)
	defer all.close()
	for {
		var one job
		if err := input.Decode(&one); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read job: %w", err)
		}
		answer, err := all.do(ctx, one)
		if err != nil {
			answer.Err = err.Error()
		}
		if err := output.Encode(answer); err != nil {
			return err
		}
	}
}
