package main

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-cd/penstock/test/measure"
)

// connectionsInterval is how often Postgres is asked who is connected.
// A claim takes a few milliseconds.
const connectionsInterval = 5 * time.Millisecond

const (
	allConnections = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock' AND datname = current_database()`
	// A statement begins with a comment that names it.
	dispatchConnections = allConnections + ` AND state <> 'idle' AND query ~ 'name: (ClaimTasks|CompleteTasks|ReclaimExpired)'`
)

// connections are the most that the controller, and dispatch in it, use at once.
type connections struct{ all, dispatch *measure.Peak }

func (s *stage) watchConnections(ctx context.Context) connections {
	count := func(query string) func(context.Context) (int, error) {
		return func(ctx context.Context) (count int, err error) {
			err = s.database.QueryRow(ctx, query).Scan(&count)
			return count, err
		}
	}
	return connections{
		all:      measure.WatchPeak(ctx, connectionsInterval, count(allConnections)),
		dispatch: measure.WatchPeak(ctx, connectionsInterval, count(dispatchConnections)),
	}
}

// stop ends the watch and returns what it saw.
func (c connections) stop() (all, dispatch int, err error) {
	all, allErr := c.all.Stop()
	dispatch, dispatchErr := c.dispatch.Stop()
	return all, dispatch, errors.Join(allErr, dispatchErr)
}
