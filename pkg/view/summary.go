package view

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

const (
	// summaryScan is how many of the newest events a summary looks at.
	summaryScan = 2000
	// failedLately is how far back failures are counted.
	failedLately = 10 * time.Minute
	// mostOldest, mostFailed, mostHolders and mostReasons bound the lists of a summary.
	mostOldest, mostFailed, mostHolders, mostReasons = 5, 5, 3, 10
)

// Summary is how the queue does. Its parts are read one after the other, so that they may be
// some milliseconds apart.
func (v *View) Summary(ctx context.Context, scope Scope) (rest.QueueSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	summary := rest.QueueSummary{}
	for what, read := range map[string]func(context.Context, Scope, *rest.QueueSummary) error{
		"lanes": v.summaryLanes, "reasons": v.summaryHeld, "oldest tasks": v.summaryOldest, "active workflows": v.summaryActive, "failures": v.summaryFailed,
	} {
		if err := read(ctx, scope, &summary); err != nil {
			return rest.QueueSummary{}, fmt.Errorf("read %s: %w", what, err)
		}
	}
	return summary, nil
}

func (v *View) summaryLanes(ctx context.Context, scope Scope, summary *rest.QueueSummary) error {
	rows, err := v.queries.SummaryLanes(ctx, dbsqlc.SummaryLanesParams{AllNamespaces: scope.All, Namespaces: scope.names()})
	if err != nil {
		return err
	}
	shut, err := shutLanes(ctx, v.queries, func(yield func(string) bool) {
		for _, row := range rows {
			if !yield(row.Cluster) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	summary.Lanes = []rest.Lane{}
	known := map[string]int{}
	for _, row := range rows {
		known[row.Kind+"/"+row.Cluster] = len(summary.Lanes)
		summary.Lanes = append(summary.Lanes, rest.Lane{
			Kind: row.Kind, Cluster: row.Cluster, Held: row.Held, Pending: row.Pending, Submitting: row.Submitting, Active: row.Active, Oldest: at(row.Oldest), Shut: shut[row.Cluster],
		})
	}
	rates, err := v.queries.SummaryRates(ctx, dbsqlc.SummaryRatesParams{Scan: summaryScan, AllNamespaces: scope.All, Namespaces: scope.names()})
	if err != nil {
		return err
	}
	for _, rate := range rates {
		index, isKnown := known[rate.Kind+"/"+rate.Cluster]
		if !isKnown {
			index, summary.Lanes = len(summary.Lanes), append(summary.Lanes, rest.Lane{Kind: rate.Kind, Cluster: rate.Cluster})
		}
		lane := &summary.Lanes[index]
		lane.PerSecond, lane.WaitHalf, lane.WaitMost = rate.PerSecond, rate.Half, rate.Most
	}
	return nil
}

func (v *View) summaryHeld(ctx context.Context, scope Scope, summary *rest.QueueSummary) error {
	rows, err := v.queries.SummaryHeld(ctx, dbsqlc.SummaryHeldParams{AllNamespaces: scope.All, Namespaces: scope.names(), Most: mostReasons})
	summary.Held = make([]rest.HeldReason, len(rows))
	for i, row := range rows {
		summary.Held[i] = rest.HeldReason{Reason: row.Reason, Tasks: row.Tasks}
	}
	return err
}

func (v *View) summaryOldest(ctx context.Context, scope Scope, summary *rest.QueueSummary) error {
	rows, err := v.queries.SummaryOldest(ctx, dbsqlc.SummaryOldestParams{AllNamespaces: scope.All, Namespaces: scope.names(), Most: mostOldest})
	summary.Oldest = make([]rest.Task, len(rows))
	for i, row := range rows {
		summary.Oldest[i] = task(dbsqlc.ViewPendingRow(row)).Task
	}
	return err
}

func (v *View) summaryActive(ctx context.Context, scope Scope, summary *rest.QueueSummary) error {
	rows, err := v.queries.SummaryActive(ctx, dbsqlc.SummaryActiveParams{AllNamespaces: scope.All, Namespaces: scope.names(), Most: mostHolders})
	summary.Active = make([]rest.ActiveHolder, len(rows))
	for i, row := range rows {
		summary.Active[i] = rest.ActiveHolder{Namespace: row.Namespace, Pipeline: row.OwnerName, WorkflowName: row.WorkflowName, Since: when(row.Since)}
	}
	return err
}

func (v *View) summaryFailed(ctx context.Context, scope Scope, summary *rest.QueueSummary) error {
	rows, err := v.queries.SummaryFailed(ctx, dbsqlc.SummaryFailedParams{
		Scan: summaryScan, Lately: pgtype.Interval{Microseconds: failedLately.Microseconds(), Valid: true},
		AllNamespaces: scope.All, Namespaces: scope.names(), Most: mostFailed,
	})
	summary.Failed = rest.Failures{WindowSeconds: int64(failedLately.Seconds()), Items: make([]rest.FailedTask, len(rows))}
	for i, row := range rows {
		summary.Failed.Count = row.Total
		summary.Failed.Items[i] = rest.FailedTask{
			At: when(row.At), Namespace: row.Namespace, Pipeline: row.Pipeline, Build: row.BuildName, Stage: row.Stage, State: row.State, Reason: row.Reason, Message: row.Message,
		}
	}
	return err
}
