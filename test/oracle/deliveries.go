package oracle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// kept is how long deliveries are kept: a build may outlive that of which it was made.
	kept = 7 * 24 * time.Hour
	// newlyBuilt is how long after its delivery has ended a build is there, or its row: pruned
	// is what has ended for longer.
	newlyBuilt = time.Hour
)

// received is a delivery, as its row says.
type received struct {
	ID          int64
	Namespace   string
	ReceiverUID string
	Origin      string
	Outcome     string
	Message     string
	New         bool // it has ended within newlyBuilt
}

const allReceived = `SELECT id, namespace, receiver_uid, origin, outcome, message, COALESCE(finished_at > now() - $1::interval, false) AS new FROM webhook_delivery`

// made is a build of a webhook.
type made struct {
	name, pipeline string
	phase          v1alpha1.BuildPhase
	delivery       int64 // 0 where it says none
	created        time.Time
}

// deliveries compares what deliveries say with the builds that exist, in both directions. A
// database that has forgotten its last seconds says nothing of these.
func deliveries(ctx context.Context, world World) ([]string, error) {
	if world.Restored {
		return nil, nil
	}
	all, err := readReceived(ctx, world)
	if err != nil {
		return nil, err
	}
	builds, err := readMade(ctx, world)
	if err != nil {
		return nil, err
	}
	receivers, err := readReceivers(ctx, world)
	if err != nil {
		return nil, err
	}
	return slices.Concat(untold(builds, all), builtTwice(builds, all), notAsTold(builds, all), lastDeliveries(receivers, all)), nil
}

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

// untold names the builds of which the delivery that they were made for says nothing. One that
// was given up may have made some of its builds.
func untold(builds map[string]made, all map[int64]received) []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(builds)) {
		build := builds[key]
		delivery, exists := all[build.delivery]
		switch {
		case build.delivery == 0:
		case !exists && time.Since(build.created) < kept:
			found = append(found, fmt.Sprintf("I2: CiBuild %s was made for delivery %d, which was never accepted", build.name, build.delivery))
		case exists && delivery.Outcome != "" && delivery.Outcome != "Failed" && !delivery.tells(build.name):
			found = append(found, fmt.Sprintf("I7: CiBuild %s was made for delivery %d, which says %q", build.name, build.delivery, delivery.Message))
		}
	}
	return found
}

// builtTwice names the builds of one pipeline that were made for one delivery, or for that which
// repeats it.
func builtTwice(builds map[string]made, all map[int64]received) []string {
	var found []string
	first := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(builds)) {
		build := builds[key]
		delivery, exists := all[build.delivery]
		if !exists {
			continue
		}
		of := strings.Join([]string{delivery.Namespace, delivery.ReceiverUID, delivery.Origin, build.pipeline}, " ")
		if before, twice := first[of]; twice {
			found = append(found, fmt.Sprintf("I2: delivery %d was built twice in CiPipeline %s: %s and %s", build.delivery, build.pipeline, before, build.name))
		}
		first[of] = build.name
	}
	return found
}
