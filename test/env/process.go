package env

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a child may take to end by itself.
	stopGrace = 10 * time.Second
	// readyTimeout is generous: two cores may be busy with a build meanwhile.
	readyTimeout = 3 * time.Minute
	// readyInterval is short against the fastest part's start.
	readyInterval = 20 * time.Millisecond
)

// command says what to start, and how it ends.
type command struct {
	name string // of the log file, and in errors
	path string
	args []string
	env  []string // added to ours
	dir  string   // working directory
	logs string   // directory of the log file. Defaults to dir

	user        *syscall.Credential // nil: ours
	stopSignal  syscall.Signal      // asks the child to end. Defaults to SIGTERM
	deathSignal syscall.Signal      // sent when we die. Defaults to SIGKILL
	detached    bool                // outlives us
	keep        []*os.File          // stay open, and so locked, as long as the child lives
}

// process is a child, of ours or of the process that Attach found it from.
type process struct {
	name       string
	log        string
	stopSignal syscall.Signal
	handle     *os.Process
	done       chan struct{} // closed when the child has ended
	err        error         // how it ended; read after done
}

// start starts c; what it prints is appended to its log.
func start(c command) (*process, error) {
	log := filepath.Join(cmp.Or(c.logs, c.dir), c.name+".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", c.name, err)
	}
	defer func() { _ = file.Close() }()

	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = file, file, c.keep
	cmd.SysProcAttr = attributes(c)
	p := &process{name: c.name, log: log, stopSignal: cmp.Or(c.stopSignal, syscall.SIGTERM), done: make(chan struct{})}
	started := make(chan error)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

// run holds one thread for the child's whole life: the kernel sends the death
// signal when the thread that forked ends, not when the process does.
func (p *process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	p.handle = cmd.Process
	started <- err
	if err != nil {
		return
	}
	p.err = cmd.Wait()
	close(p.done)
}

// finish waits for a child that ends by itself, and stops it at ctx's end.
func (p *process) finish(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %w", p.name, ctx.Err()), p.stop())
	}
	if p.err != nil {
		return p.failure(fmt.Errorf("%s: %w", p.name, p.err))
	}
	return nil
}

// until asks check again and again until it returns nil. It gives up when the
// child ends, at ctx's end or after readyTimeout, with the last lines of the log.
func (p *process) until(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failure(fmt.Errorf("%s ended before it was ready: %w", p.name, exitError(p.err)))
		case <-ctx.Done():
			return p.failure(fmt.Errorf("%s is not ready: %w: %w", p.name, ctx.Err(), last))
		case <-ticker.C:
		}
	}
}

// stop asks the child to end, kills it after stopGrace, and returns when it is
// gone. A child that has ended already is not an error.
func (p *process) stop() error {
	if p.ended() {
		return nil
	}
	if err := p.signal(p.stopSignal); err != nil {
		return err
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return nil
	case <-grace.C:
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.handle.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
