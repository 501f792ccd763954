package env

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Stop stops the server and keeps its data for Restart. It returns when the
// process is gone, and does nothing when it is gone already.
func (p *Postgres) Stop(mode StopMode) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.halt(mode)
}

// Restart starts the server over its data, on the same port, and returns when
// it answers. A server that still runs is stopped first, like by a crash.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("restart postgres: it is closed")
	}
	if err := p.halt(Immediate); err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	return p.run(ctx)
}

func (p *Postgres) halt(mode StopMode) error {
	if p.scratch == nil {
		return ErrForeign
	}
	if p.process == nil {
		return nil
	}
	p.process.stopSignal = syscall.Signal(mode)
	return p.process.stop()
}

// Close stops the server and removes its data; of a server that is not ours it
// drops the databases that NewDatabase made. Closing twice is no error.
func (p *Postgres) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.scratch == nil {
		return p.dropAll()
	}
	err := p.halt(Immediate)
	if p.port.lock != nil {
		p.port.release()
	}
	return errors.Join(err, p.scratch.close())
}
