package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// DeliveriesAge is how long what was received by webhooks is kept: its bodies are large, and of
// use only while its sender may send it again.
const DeliveriesAge = 7 * 24 * time.Hour

// PruneTimeout bounds deleting one page of history.
const PruneTimeout = 10 * time.Second

// History is a part of the tables that grows with time.
type History string

// The parts of the history, in the order in which they can be pruned: what refers to others
// goes first.
const (
	HistoryEvents   History = "event"
	HistoryClusters History = "cluster_event"
	HistoryTold     History = "notification"
	// HistoryDeliveries are kept for DeliveriesAge, whatever the retention is.
	HistoryDeliveries History = "webhook_delivery"
	HistoryDeployed   History = "deployed"
	HistoryRuns       History = "cd_workflow"
	HistoryTasks      History = "task"
	HistoryDecisions  History = "trigger_decision"
	HistoryTurns      History = "turn"
	HistoryArtifacts  History = "ci_artifact"
	HistoryBuilds     History = "ci_build"
	HistoryWaves      History = "wave"
	HistoryImages     History = "base_image"
)

// pruner deletes one page of a part.
type pruner func(ctx context.Context, queries *dbsqlc.Queries, p pruneParams) (PrunedPage, error)

// histories are all parts in that order, with how many rows a page has that is looked at.
var histories = []struct {
	part  History
	most  int64
	prune pruner
}{
	{HistoryEvents, prunedRows, pruning((*dbsqlc.Queries).PruneEvents)},
	{HistoryClusters, prunedRows, pruneClusters},
	{HistoryTold, prunedRows, pruning((*dbsqlc.Queries).PruneNotifications)},
	{HistoryDeliveries, prunedRows, pruning((*dbsqlc.Queries).PruneDeliveries)},
	{HistoryDeployed, prunedRows, pruning((*dbsqlc.Queries).PruneDeployed)},
	{HistoryRuns, prunedRuns, pruning((*dbsqlc.Queries).PruneRuns)},
	{HistoryTasks, prunedRows, pruning((*dbsqlc.Queries).PruneTasks)},
	{HistoryDecisions, prunedRows, pruning((*dbsqlc.Queries).PruneDecisions)},
	{HistoryTurns, prunedRows, pruning((*dbsqlc.Queries).PruneTurns)},
	{HistoryArtifacts, prunedRows, pruning((*dbsqlc.Queries).PruneArtifacts)},
	{HistoryBuilds, prunedRows, pruning((*dbsqlc.Queries).PruneBuilds)},
	{HistoryWaves, prunedWaves, pruning((*dbsqlc.Queries).PruneWaves)},
	{HistoryImages, prunedImages, pruning((*dbsqlc.Queries).PruneBaseImages)},
}

const (
	// prunedRows is how many rows one page has, and prunedRuns how many runs: each of them
	// has up to three stages and their tasks, and those of stages that were tried again.
	prunedRows, prunedRuns = 500, 70
	// prunedWaves is how many waves one page has, each with an item for every pipeline, and
	// prunedImages how many images, whose waves are gone but for some.
	prunedWaves, prunedImages = 5, 50
)

// Histories are all parts, in the order in which they can be pruned.
func Histories() []History {
	parts := make([]History, len(histories))
	for i, history := range histories {
		parts[i] = history.part
	}
	return parts
}

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
	Most       int64
	Age        pgtype.Interval
	After      int64
	Namespaces []string
}

// Prune deletes what is older than the age from the page of a part that begins after an
// id; 0 is the first page. It deletes some five hundred rows at most, in one statement that takes
// tens of milliseconds: so long it keeps them locked.
func (s *Store) Prune(ctx context.Context, part History, after int64, age time.Duration) (PrunedPage, error) {
	ctx, cancel := context.WithTimeout(ctx, PruneTimeout)
	defer cancel()
	for _, history := range histories {
		if history.part != part {
			continue
		}
		page, err := history.prune(ctx, s.queries, pruneParams{Most: history.most, After: after, Age: interval(age), Namespaces: s.namespaces})
		if err != nil {
			return PrunedPage{}, fmt.Errorf("prune %s: %w", part, err)
		}
		return page, nil
	}
	panic("store: no history of this name: " + string(part))
}

// pruning makes a pruner of a query. All of them take and return the same: each names its
// parameters in the same order.
func pruning[P ~struct {
	Most       int64
	Age        pgtype.Interval
	After      int64
	Namespaces []string
}, R ~struct {
	Last, Deleted int64
	More          bool
}](query func(*dbsqlc.Queries, context.Context, P) (R, error)) pruner {
	return func(ctx context.Context, queries *dbsqlc.Queries, p pruneParams) (PrunedPage, error) {
		row, err := query(queries, ctx, P(p))
		return PrunedPage(row), err
	}
}

// pruneClusters is of no namespace.
func pruneClusters(ctx context.Context, queries *dbsqlc.Queries, p pruneParams) (PrunedPage, error) {
	row, err := queries.PruneClusterEvents(ctx, dbsqlc.PruneClusterEventsParams{Most: p.Most, Age: p.Age, After: p.After})
	return PrunedPage(row), err
}
