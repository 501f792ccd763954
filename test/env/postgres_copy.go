package env

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func (p *Postgres) copied() string { return filepath.Join(p.scratch.path, "copy") }

// Copy stops the server like a crash, copies its data, and starts it again: a backup as
// storage takes it.
func (p *Postgres) Copy(ctx context.Context) error {
	return p.exchange(ctx, p.data(), p.copied())
}

// RestoreCopy stops the server and starts it over the data that Copy kept. What was committed
// since is lost.
func (p *Postgres) RestoreCopy(ctx context.Context) error {
	return p.exchange(ctx, p.copied(), p.data())
}

// exchange replaces one directory by another while the server does not run.
func (p *Postgres) exchange(ctx context.Context, from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.halt(Immediate); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("remove %s: %w", to, err)
	}
	// It keeps the owner, who is not us.
	if output, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy postgres' data: %w: %s", err, output)
	}
	return p.run(ctx)
}
