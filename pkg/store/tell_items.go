package store

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// items are the events that can be told, of the namespaces that are watched, with what is
// known of their builds, pipelines and runs; and for each build of which all runs have ended
// that this is so.
func (s *Store) items(ctx context.Context, queries *dbsqlc.Queries, events []dbsqlc.UntoldEventsRow, later dbsqlc.BuildsToTellParams) ([]route.Item, error) {
	var items []route.Item
	var uids []string // of the items' pipelines
	settled := map[types.NamespacedName]bool{}
	for _, event := range events {
		if event.Namespace != "" && len(s.namespaces) > 0 && !slices.Contains(s.namespaces, event.Namespace) {
			continue
		}
		if settles(event) {
			settled[types.NamespacedName{Namespace: event.Namespace, Name: event.BuildName}] = true
		}
		event, uid, isTold := item(event)
		if isTold {
			items, uids = append(items, event), append(uids, uid)
		}
	}
	if len(items) == 0 && len(settled) == 0 {
		return nil, nil
	}
	if err := addPipelines(ctx, queries, items, uids); err != nil {
		return nil, err
	}
	if err := addRuns(ctx, queries, items); err != nil {
		return nil, err
	}
	return addBuilds(ctx, queries, items, settled, later)
}

// settles tells whether an event may be the last of a build.
func settles(event dbsqlc.UntoldEventsRow) bool {
	return event.BuildName != "" && ((event.Kind == "Run" && event.State != "Reopened") || event.Kind == "Decision")
}

func item(event dbsqlc.UntoldEventsRow) (item route.Item, pipelineUID string, isTold bool) {
	kind, isTold := route.TypeOf(event.Kind, event.Stage, event.State, event.Reason)
	if kind == v1alpha1.EventBuildFailed {
		event.Reason = event.State // Failed, Error or Cancelled
	}
	if event.Kind == "Wave" {
		return route.Item{
			Type: kind, At: event.At.Time, Namespace: event.Namespace, BaseImage: event.Pipeline, Wave: event.RunID,
			Reason: event.State, Message: event.Message, Actor: event.Actor, ActorReason: event.ActorReason,
		}, "", isTold
	}
	return route.Item{
		Type: kind, At: event.At.Time, Namespace: event.Namespace, Pipeline: event.Pipeline, Build: event.BuildName,
		Run: event.RunID, Stage: event.Stage, Reason: event.Reason, Message: event.Message, Actor: event.Actor, ActorReason: event.ActorReason, Cluster: event.Cluster,
	}, event.PipelineUid, isTold
}

func addPipelines(ctx context.Context, queries *dbsqlc.Queries, items []route.Item, uids []string) error {
	rows, err := queries.PipelinesToTell(ctx, uids)
	if err != nil {
		return err
	}
	known := make(map[string]dbsqlc.PipelinesToTellRow, len(rows))
	for _, row := range rows {
		known[row.PipelineUid] = row
	}
	for i := range items {
		items[i].Application, items[i].Environment = known[uids[i]].Application, known[uids[i]].Environment
		if items[i].Application == "" && items[i].Pipeline != "" {
			items[i].Application = items[i].Pipeline // as everywhere
		}
	}
	return nil
}

func addRuns(ctx context.Context, queries *dbsqlc.Queries, items []route.Item) error {
	var ids []int64
	for _, item := range items {
		if item.Run != 0 {
			ids = append(ids, item.Run)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := queries.RunsToTell(ctx, ids)
	if err != nil {
		return err
	}
	known := make(map[int64]dbsqlc.RunsToTellRow, len(rows))
	for _, row := range rows {
		known[row.ID] = row
	}
	for i := range items {
		row := known[items[i].Run]
		items[i].Image, items[i].Digest, items[i].RunCluster = row.Image, row.Digest, row.Cluster
		if items[i].Type == v1alpha1.EventRunFailed || items[i].Type == v1alpha1.EventRunCancelled {
			items[i].Stage, items[i].Reason, items[i].Message = row.Stage, row.Reason, row.Message
		}
	}
	return nil
}

func addBuilds(ctx context.Context, queries *dbsqlc.Queries, items []route.Item, settled map[types.NamespacedName]bool, params dbsqlc.BuildsToTellParams) ([]route.Item, error) {
	seen := map[types.NamespacedName]bool{}
	add := func(key types.NamespacedName) {
		if key.Name != "" && !seen[key] {
			seen[key] = true
			params.Namespaces, params.BuildNames = append(params.Namespaces, key.Namespace), append(params.BuildNames, key.Name)
		}
	}
	for _, item := range items {
		add(types.NamespacedName{Namespace: item.Namespace, Name: item.Build})
	}
	for key := range settled {
		add(key)
	}
	rows, err := queries.BuildsToTell(ctx, params)
	if err != nil {
		return nil, err
	}
	known := make(map[types.NamespacedName]dbsqlc.BuildsToTellRow, len(rows))
	for _, row := range rows {
		known[types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}] = row
	}
	for i := range items {
		describe(&items[i], known[types.NamespacedName{Namespace: items[i].Namespace, Name: items[i].Build}])
	}
	for _, row := range rows { // in the order of names, so that a batch is told in one order
		key := types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}
		if settled[key] && row.IsPlanned && row.Running == 0 && row.Waiting == 0 && row.Runs > 0 && !row.HasMore {
			done := route.Item{Type: v1alpha1.EventTriggersCompleted, At: row.FinishedAt.Time, Namespace: row.Namespace, Build: row.BuildName}
			describe(&done, row)
			items = append(items, done)
		}
	}
	return items, nil
}

func describe(item *route.Item, build dbsqlc.BuildsToTellRow) {
	item.BuildUID, item.CiPipeline, item.Revision = build.BuildUid, build.CiPipeline, build.Revision
	if item.Application == "" {
		item.Application = build.Application
	}
	if item.Application == "" {
		item.Application = build.CiPipeline
	}
}
