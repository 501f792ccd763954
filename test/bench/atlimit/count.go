package atlimit

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

// logSettings have Postgres log each message that a client waits for the answer to,
// with the time and who it is.
var logSettings = []string{"log_min_duration_statement=0", "log_parameter_max_length=0", "log_line_prefix=%n|%a|"}

// roundTrip is such a line, with the name of its query or the first word of its SQL. A bind
// is sent together with its execute.
var roundTrip = regexp.MustCompile(`^(\d+\.\d+)\|penstock\|LOG:  duration: \S+ ms  (?:parse|execute|statement)\b[^:]*: (?:-- name: )?(\w*)`)

// count reads the logs of what happened since before, until the last create.
func count(cluster *fixture.Cluster, before, finished time.Time, triggers int) (round, error) {
	events, err := env.ReadAudit(cluster.AuditLog)
	if err != nil {
		return round{}, err
	}
	spans, last := fixture.Creates(events, before)
	if len(spans) != triggers {
		return round{}, fmt.Errorf("the audit log has %d creates of %d triggers", len(spans), triggers)
	}
	log, err := os.Open(cluster.Postgres.Log())
	if err != nil {
		return round{}, fmt.Errorf("read database log: %w", err)
	}
	defer func() { _ = log.Close() }()
	roundTrips, err := countRoundTrips(log, before, last)
	if err != nil {
		return round{}, fmt.Errorf("read database log: %w", err)
	}
	return round{
		seconds: last.Sub(finished).Seconds(), roundTrips: roundTrips,
		cost: cost{
			APIWritesPerTrigger:    float64(writes(events, before, last)) / float64(triggers),
			DBRoundTripsPerTrigger: float64(sum(roundTrips)) / float64(triggers),
			PeakInFlight:           measure.MostAtOnce(spans),
		},
	}, nil
}

// writes counts every write of Penstock, whatever the answer.
func writes(events []env.AuditEvent, since, until time.Time) int {
	count := 0
	for _, event := range events {
		isWrite := slices.Contains([]string{"create", "update", "patch", "delete"}, event.Verb)
		if isWrite && event.User == string(env.Penstock) && !event.Received.Before(since) && !event.Finished.After(until) {
			count++
		}
	}
	return count
}

// countRoundTrips returns how many there were, by query.
func countRoundTrips(log io.Reader, since, until time.Time) (map[string]int, error) {
	counts := map[string]int{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		match := roundTrip.FindSubmatch(lines.Bytes())
		if match == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(string(match[1]), 64)
		if err != nil {
			return nil, err
		}
		if at := time.UnixMilli(int64(seconds * 1000)); !at.Before(since) && !at.After(until) {
			counts[string(match[2])]++
		}
	}
	return counts, lines.Err()
}

func sum(counts map[string]int) int {
	total := 0
	for _, count := range counts {
		total += count
	}
	return total
}

// most lists the queries that were sent most often.
func most(counts map[string]int) string {
	const shown = 12
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, 0, shown)
	for _, name := range names[:min(len(names), shown)] {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
