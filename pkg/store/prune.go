package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// PruneTimeout bounds deleting one page of history.
const PruneTimeout = 10 * time.Second

// History is a part of the tables that grows with time.
type History string

// The parts of the history, in the order in which they can be pruned: what refers to others
// goes first.
const (
	HistoryEvents    History = "event"
	HistoryClusters  History = "cluster_event"
	HistoryDeployed  History = "deployed"
	HistoryRuns      History = "cd_workflow"
	HistoryDecisions History = "trigger_decision"
	HistoryTurns     History = "turn"
	HistoryArtifacts History = "ci_artifact"
	HistoryBuilds    History = "ci_build"
)

// Histories are all parts, in that order.
func Histories() []History {
	return []History{
		HistoryEvents, HistoryClusters, HistoryDeployed, HistoryRuns, HistoryDecisions, HistoryTurns, HistoryArtifacts, HistoryBuilds,
	}
}

const (
	// prunedRows is how many rows one page has, and prunedRuns how many runs: each of them
	// has up to three stages and their tasks, and those of stages that were tried again.
	prunedRows, prunedRuns = 1000, 140
)

// PrunedPage is what became of one page.
type PrunedPage struct {
	// Last is where the next page begins.
	Last int64
	// Deleted is how many rows were deleted.
	Deleted int64
	// More tells whether another page may hold what is old enough.
	More bool
}

// pruneParams are those of every query that prunes.
type pruneParams struct {
	most, after int64
	age         pgtype.Interval
	namespaces  []string
}

// Prune deletes what is older than the age from the page of a part that begins after an
// id; 0 is the first page. It deletes a thousand rows or few more at most, in one statement.
func (s *Store) Prune(ctx context.Context, part History, after int64, age time.Duration) (PrunedPage, error) {
	ctx, cancel := context.WithTimeout(ctx, PruneTimeout)
	defer cancel()
	page, err := s.prune(ctx, part, pruneParams{most: prunedRows, after: after, age: interval(age), namespaces: s.namespaces})
	if err != nil {
		return PrunedPage{}, fmt.Errorf("prune %s: %w", part, err)
	}
	return page, nil
}

func (s *Store) prune(ctx context.Context, part History, p pruneParams) (PrunedPage, error) {
	switch part {
	case HistoryEvents:
		row, err := s.queries.PruneEvents(ctx, dbsqlc.PruneEventsParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryClusters:
		row, err := s.queries.PruneClusterEvents(ctx, dbsqlc.PruneClusterEventsParams{Most: p.most, After: p.after, Age: p.age})
		return PrunedPage(row), err
	case HistoryDeployed:
		row, err := s.queries.PruneDeployed(ctx, dbsqlc.PruneDeployedParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryRuns:
		row, err := s.queries.PruneRuns(ctx, dbsqlc.PruneRunsParams{Most: prunedRuns, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryDecisions:
		row, err := s.queries.PruneDecisions(ctx, dbsqlc.PruneDecisionsParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryTurns:
		row, err := s.queries.PruneTurns(ctx, dbsqlc.PruneTurnsParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryArtifacts:
		row, err := s.queries.PruneArtifacts(ctx, dbsqlc.PruneArtifactsParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	case HistoryBuilds:
		row, err := s.queries.PruneBuilds(ctx, dbsqlc.PruneBuildsParams{Most: p.most, After: p.after, Age: p.age, Namespaces: p.namespaces})
		return PrunedPage(row), err
	default:
		panic("store: no history of this name: " + string(part))
	}
}
