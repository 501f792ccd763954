// Package namespaces keeps the names of the namespaces that have pipelines in memory, so
// that rights are reviewed before a row is read. It observes Postgres through pkg/view, and
// writes nothing.
package namespaces

import (
	"context"
	"sync/atomic"
)

// Known are the namespaces as they were at the last Refresh that succeeded. It is safe for
// concurrent use.
type Known struct {
	read  func(context.Context) ([]string, error)
	names atomic.Pointer[[]string]
}

// New returns no namespaces before the first Refresh. read must bound its time.
func New(read func(context.Context) ([]string, error)) *Known { return &Known{read: read} }

// Refresh reads the names. Where that fails, the names that are known stay.
func (k *Known) Refresh(ctx context.Context) error {
	names, err := k.read(ctx)
	if err != nil {
		return err
	}
	k.names.Store(&names)
	return nil
}

// Names returns the names, which must not be changed. It never waits.
func (k *Known) Names() []string {
	if names := k.names.Load(); names != nil {
		return *names
	}
	return nil
}
