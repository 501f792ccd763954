package oracle

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const allReceived = `SELECT id, namespace, receiver_uid, origin, outcome, message, COALESCE(finished_at > now() - $1::interval, false) AS new FROM webhook_delivery`

func readReceivers(ctx context.Context, world World) ([]v1alpha1.Receiver, error) {
	var all []v1alpha1.Receiver
	for _, cluster := range world.Clusters {
		var list v1alpha1.ReceiverList
		if err := cluster.List(ctx, &list); err != nil {
			return nil, fmt.Errorf("list Receivers: %w", err)
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

func readReceived(ctx context.Context, world World) (map[int64]received, error) {
	rows, err := world.Database.Query(ctx, allReceived, newlyBuilt)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[received])
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	all := make(map[int64]received, len(list))
	for _, one := range list {
		all[one.ID] = one
	}
	return all, nil
}

// readMade returns the builds by namespace and name: those that exist, and those of which only
// the rows are left, without the delivery.
func readMade(ctx context.Context, world World) (map[string]made, error) {
	builds := map[string]made{}
	rows, err := world.Database.Query(ctx, `SELECT namespace || '/' || build_name, build_name, ci_pipeline, phase FROM ci_build ORDER BY seq`)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	var key string
	var build made
	_, err = pgx.ForEachRow(rows, []any{&key, &build.name, &build.pipeline, &build.phase}, func() error {
		builds[key] = build
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	for _, cluster := range world.Clusters {
		var list v1alpha1.CiBuildList
		if err := cluster.List(ctx, &list); err != nil {
			return nil, fmt.Errorf("list CiBuilds: %w", err)
		}
		for i := range list.Items {
			object := &list.Items[i]
			build := made{name: object.Name, pipeline: object.Spec.PipelineRef.Name, phase: object.Status.Phase, created: object.CreationTimestamp.Time}
			build.delivery, _ = strconv.ParseInt(object.Annotations[v1alpha1.AnnotationDelivery], 10, 64)
			builds[object.Namespace+"/"+object.Name] = build
		}
	}
	return builds, nil
}
