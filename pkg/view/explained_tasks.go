package view

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// addTasks adds what the runs wait for that have not ended.
func (e *explanation) addTasks(ctx context.Context) error {
	var open []int64
	for id, run := range e.runs {
		if run.Outcome == "" {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return nil
	}
	rows, err := e.queries.ExplainStages(ctx, slices.Sorted(slices.Values(open)))
	if err != nil {
		return fmt.Errorf("read what runs wait for: %w", err)
	}
	shut, err := shutLanes(ctx, e.queries, func(yield func(string) bool) {
		for _, row := range rows {
			if !yield(row.Cluster) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	queued, turns := map[lane][]int64{}, []int64{}
	for _, row := range rows {
		e.runs[row.RunID].Task = explain.Task{
			DelayedBy: row.DelayedBy, Failures: int(row.Failures), NextAt: since(row.AvailableAt), ChangedAt: when(row.ChangedAt), Before: row.Before,
			Stopping: row.StopReason != "", TurnOf: row.TurnOf, TurnsBefore: int(row.TurnsBefore), Cluster: row.Cluster, Shut: shut[row.Cluster],
		}
		if row.Status == pending && row.DelayedBy == "" {
			queued[lane{row.Kind, row.Cluster}] = append(queued[lane{row.Kind, row.Cluster}], row.TaskID)
		}
		if row.TurnRun != 0 {
			turns = append(turns, row.TurnRun)
		}
	}
	if err := e.addPlaces(ctx, rows, queued); err != nil {
		return err
	}
	return e.addTurns(ctx, rows, turns)
}

// shutLanes says why nothing is triggered in those of the clusters whose lane is shut.
func shutLanes(ctx context.Context, queries *dbsqlc.Queries, clusters iter.Seq[string]) (map[string]string, error) {
	shut := map[string]string{}
	for cluster := range clusters {
		if cluster != "" {
			shut[cluster] = ""
		}
	}
	if len(shut) == 0 {
		return shut, nil
	}
	rows, err := queries.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read lanes of clusters: %w", err)
	}
	for _, row := range rows {
		if _, wanted := shut[row.Cluster]; wanted && row.Reason != "" {
			shut[row.Cluster] = store.ClusterLane{Cluster: row.Cluster, Reason: v1alpha1.Reason(row.Reason), Message: row.Message, Since: row.Since.Time}.Text()
		}
	}
	return shut, nil
}

// addPlaces adds where tasks stand in the queues of their lanes.
func (e *explanation) addPlaces(ctx context.Context, rows []dbsqlc.ExplainStagesRow, queued map[lane][]int64) error {
	for lane, tasks := range queued {
		ahead, err := e.places(ctx, lane, tasks)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if slices.Contains(tasks, row.TaskID) {
				task := &e.runs[row.RunID].Task
				task.Ahead, task.Most = ahead(row.TaskID), maxAhead
			}
		}
	}
	return nil
}

// places returns how many tasks go before each of some of one lane, negative where there are more
// than maxAhead: those that are claimed, and those before it in the queue.
func (e *explanation) places(ctx context.Context, lane lane, tasks []int64) (ahead func(task int64) int, err error) {
	rows, err := e.queries.ExplainPlaces(ctx, dbsqlc.ExplainPlacesParams{Kind: lane.kind, Cluster: lane.cluster, Ids: tasks, Look: maxAhead})
	if err != nil {
		return nil, fmt.Errorf("find places in the queue: %w", err)
	}
	claimed, err := e.queries.ExplainClaimed(ctx, dbsqlc.ExplainClaimedParams{Kind: lane.kind, Cluster: lane.cluster})
	if err != nil {
		return nil, fmt.Errorf("count claimed tasks: %w", err)
	}
	places := make(map[int64]int, len(rows))
	for _, row := range rows {
		places[row.ID] = int(row.Place)
	}
	return func(task int64) int {
		if place, found := places[task]; found {
			return place - 1 + int(claimed)
		}
		return -1
	}, nil
}

// addTurns adds the runs that have the turns which others wait for.
func (e *explanation) addTurns(ctx context.Context, rows []dbsqlc.ExplainStagesRow, turns []int64) error {
	runs, _, err := e.View.runs(ctx, slices.Compact(slices.Sorted(slices.Values(turns))))
	if err != nil {
		return err
	}
	for _, row := range rows {
		for i := range runs {
			if runs[i].ID == row.TurnRun {
				e.runs[row.RunID].Task.TurnRun = &runs[i]
			}
		}
	}
	return nil
}
