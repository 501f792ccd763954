package oracle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
