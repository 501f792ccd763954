package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/pause"
	"github.com/penstock-cd/penstock/pkg/store"
)

// migrator applies the missing migrations at start, however long the database takes to
// come. What writes tables waits for it.
type migrator struct {
	database *store.Store
	log      logr.Logger
	// onStart, where it is set, is called when it begins: the cache is complete then.
	onStart func()
	// done is closed when the schema is there.
	done chan struct{}
	once sync.Once
}

func newMigrator(database *store.Store, log logr.Logger) *migrator {
	return &migrator{database: database, log: log, done: make(chan struct{})}
}

// migrateRetry is the pause after a failed attempt.
const migrateRetry = 2 * time.Second

// NeedLeaderElection is false: an advisory lock keeps replicas apart.
func (m *migrator) NeedLeaderElection() bool { return false }

// Start returns once the schema is there.
func (m *migrator) Start(ctx context.Context) error {
	if m.onStart != nil {
		m.onStart()
	}
	for {
		err := m.database.Migrate(ctx)
		switch {
		case errors.Is(err, store.ErrNewerSchema):
			return err
		case err == nil:
			m.once.Do(func() { close(m.done) })
			return nil
		case ctx.Err() != nil:
			return nil //nolint:nilerr // what a shutdown interrupts is taken up at the next start
		}
		m.log.Error(err, "database not ready, will retry", "retryIn", migrateRetry.String())
		if !pause.For(ctx, migrateRetry) {
			return nil
		}
	}
}

// gated is a manager whose loops begin once the schema is there: before, each would only
// log that there are no tables.
type gated struct {
	manager.Manager
	open <-chan struct{}
}

// Add implements manager.Manager.
func (g gated) Add(loop manager.Runnable) error { return g.Manager.Add(waiting{loop, g.open}) }

type waiting struct {
	manager.Runnable
	open <-chan struct{}
}

// NeedLeaderElection is the loop's own; one that does not say needs it.
func (w waiting) NeedLeaderElection() bool {
	loop, says := w.Runnable.(manager.LeaderElectionRunnable)
	return !says || loop.NeedLeaderElection()
}

// Start implements manager.Runnable.
func (w waiting) Start(ctx context.Context) error {
	select {
	case <-w.open:
		return w.Runnable.Start(ctx)
	case <-ctx.Done():
		return nil
	}
}
