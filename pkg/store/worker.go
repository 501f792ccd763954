package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

const (
	// WorkerSilence is how long a worker may be silent, by the database's clock, until
	// others take its claims back. A worker that does not know that it was heard more
	// recently must not submit any more.
	WorkerSilence = 5 * time.Second
	// BeatTimeout bounds one sign of life.
	BeatTimeout = 2 * time.Second
)

// Beat says that the worker, of this replica, lives, and what is in force there.
func (s *Store) Beat(ctx context.Context, worker, replica string, state WorkerState) error {
	ctx, cancel := context.WithTimeout(ctx, BeatTimeout)
	defer cancel()
	encoded, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode the state of the worker: %w", err)
	}
	if err := s.queries.BeatWorker(ctx, dbsqlc.BeatWorkerParams{Name: worker, Replica: replica, State: string(encoded)}); err != nil {
		return fmt.Errorf("say that the worker lives: %w", err)
	}
	return nil
}

// TakeOver gives back what earlier processes of the replica have claimed and returns
// their number. Call it only once those have ended, such as at the start.
func (s *Store) TakeOver(ctx context.Context, worker, replica string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	taken, err := s.queries.TakeOver(ctx, dbsqlc.TakeOverParams{Name: worker, Replica: replica})
	if err != nil {
		return 0, fmt.Errorf("take over the replica's claims: %w", err)
	}
	return taken, nil
}
