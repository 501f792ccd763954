package main

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// spyInterval is how often Postgres is asked who is connected.
const spyInterval = 25 * time.Millisecond

// spy keeps the most connections that it saw the controller, and dispatch in it,
// use at once. A statement begins with a comment that names it.
type spy struct {
	database        *pgxpool.Pool
	cancel          context.CancelFunc
	done            sync.WaitGroup
	dispatch, total int
}

const spyQuery = `
SELECT count(*) FILTER (WHERE state <> 'idle' AND query ~ 'name: (ClaimRunners|CompleteRunners|ReclaimExpired)'),
       count(*)
FROM pg_stat_activity
WHERE application_name = 'penstock' AND datname = current_database()`

func newSpy(database *pgxpool.Pool) *spy { return &spy{database: database, cancel: func() {}} }

func (s *spy) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.done.Go(func() {
		ticker := time.NewTicker(spyInterval)
		defer ticker.Stop()
		for {
			var dispatch, total int
			if err := s.database.QueryRow(ctx, spyQuery).Scan(&dispatch, &total); err == nil {
				s.dispatch, s.total = max(s.dispatch, dispatch), max(s.total, total)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

func (s *spy) stop() {
	s.cancel()
	s.done.Wait()
}
