package oracle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// What the messages of deliveries begin with that tell of builds.
var (
	tellsBuilt    = regexp.MustCompile(`^Built ([^;]*)`)
	tellsReported = regexp.MustCompile(`^Reported (\S+) as (\w+)`)
	andMore       = regexp.MustCompile(` and \d+ more$`)
)

// names are the builds that a delivery says it has built: all but those that its message had no
// room for.
func (d received) names() []string {
	match := tellsBuilt.FindStringSubmatch(d.Message)
	if match == nil {
		return nil
	}
	names := strings.Split(andMore.ReplaceAllString(match[1], ""), ", ")
	if strings.HasSuffix(match[1], "…") {
		names = names[:len(names)-1]
	}
	return names
}

// tells is true of a message that had no room for all names.
func (d received) tells(build string) bool {
	return strings.Contains(d.Message, build) || andMore.MatchString(tellsBuilt.FindString(d.Message)) || strings.HasSuffix(d.Message, "…")
}

// notAsTold names the deliveries that tell of builds that are not there, that were made for
// another delivery, or that have not ended so.
func notAsTold(builds map[string]made, all map[int64]received) []string {
	var found []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		delivery := all[id]
		for _, name := range delivery.names() {
			build, exists := builds[delivery.Namespace+"/"+name]
			maker, known := all[build.delivery]
			switch {
			case !exists && delivery.New:
				found = append(found, fmt.Sprintf("I7: delivery %d says that it built %s, which was never there", id, name))
			case known && (maker.ReceiverUID != delivery.ReceiverUID || maker.Origin != delivery.Origin):
				found = append(found, fmt.Sprintf("I7: delivery %d says that it built %s, which was made for delivery %d", id, name, build.delivery))
			}
		}
		found = append(found, delivery.reportedOtherwise(builds)...)
	}
	return found
}

// reportedOtherwise looks for the end that a build is said to have come to.
func (d received) reportedOtherwise(builds map[string]made) []string {
	match := tellsReported.FindStringSubmatch(d.Message)
	if match == nil {
		return nil
	}
	name, phase := match[1], v1alpha1.BuildPhase(match[2])
	build, exists := builds[d.Namespace+"/"+name]
	switch {
	case !exists && d.New:
		return []string{fmt.Sprintf("I7: delivery %d says that it reported %s, which was never there", d.ID, name)}
	case exists && phase.IsTerminal() && build.phase != phase:
		return []string{fmt.Sprintf("I7: delivery %d says that it reported %s as %s, which is %s", d.ID, name, phase, build.phase)}
	}
	return nil
}

// lastDeliveries names the Receivers whose status tells otherwise of a delivery than its row.
func lastDeliveries(receivers []v1alpha1.Receiver, all map[int64]received) []string {
	var found []string
	for i := range receivers {
		told := receivers[i].Status.LastDelivery
		if told == nil {
			continue
		}
		id, _ := strconv.ParseInt(told.ID, 10, 64)
		if delivery, exists := all[id]; exists && (told.Outcome != delivery.Outcome || told.Message != delivery.Message) {
			found = append(found, fmt.Sprintf("I7: Receiver %s tells %q of delivery %d, which says %q", receivers[i].Name, told.Message, id, delivery.Message))
		}
	}
	return found
}
