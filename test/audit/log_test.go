package audit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
)

func at(milliseconds int) time.Time { return time.UnixMilli(int64(milliseconds)) }

// request is one of Penstock's in the namespace ours, for a new Workflow, that came
// to be.
func request(from, to int, with ...func(*env.AuditEvent)) env.AuditEvent {
	event := env.AuditEvent{
		User: string(env.Penstock), Namespace: "ours", Resource: "workflows", Verb: "create", Code: 201,
		Received: at(from), Finished: at(to),
	}
	for _, change := range with {
		change(&event)
	}
	return event
}

func TestEachFilterKeepsWhatItsNameSays(t *testing.T) {
	t.Parallel()
	plain := request(0, 10)
	for sentence, test := range map[string]struct {
		other env.AuditEvent
		keep  func(audit.Log) audit.Log
	}{
		"another user's":        {request(0, 10, func(e *env.AuditEvent) { e.User = "admin" }), audit.Log.Penstock},
		"in another namespace":  {request(0, 10, func(e *env.AuditEvent) { e.Namespace = "other" }), func(l audit.Log) audit.Log { return l.In("ours") }},
		"before":                {request(-1, 10), func(l audit.Log) audit.Log { return l.Since(at(0)) }},
		"still under way":       {request(0, 11), func(l audit.Log) audit.Log { return l.Until(at(10)) }},
		"a read":                {request(0, 10, func(e *env.AuditEvent) { e.Verb = "get" }), audit.Log.Writes},
		"a patch":               {request(0, 10, func(e *env.AuditEvent) { e.Verb = "patch" }), audit.Log.Attempts},
		"of another kind":       {request(0, 10, func(e *env.AuditEvent) { e.Resource = "events" }), audit.Log.Attempts},
		"refused":               {request(0, 10, func(e *env.AuditEvent) { e.Code = 409 }), audit.Log.Creates},
		"refused, of our right": {request(0, 10, func(e *env.AuditEvent) { e.Code = 403 }), audit.Log.Creates},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, audit.Log{plain}, test.keep(audit.Log{test.other, plain}))
		})
	}
}

func TestMostAtOnceCountsOverlaps(t *testing.T) {
	t.Parallel()
	require.Zero(t, audit.Log{}.MostAtOnce())
	require.Equal(t, 2, audit.Log{request(0, 10), request(5, 15), request(10, 20)}.MostAtOnce())
	require.Equal(t, at(20), audit.Log{request(0, 20), request(5, 15)}.Last())
	require.Zero(t, audit.Log{}.Last())
}

func TestTheBurstIsTheSmallestBucketThatLetsAllPass(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		arrivals []int // milliseconds
		want     float64
	}{
		"none":                         {nil, 0},
		"one":                          {[]int{0}, 1},
		"ten at once":                  {[]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10},
		"at the rate":                  {[]int{0, 100, 200, 300}, 1},
		"at twice the rate":            {[]int{0, 50, 100, 150, 200}, 3},
		"two, a rest, and three":       {[]int{0, 0, 1000, 1000, 1000}, 3},
		"in another order than logged": {[]int{1000, 0, 1000, 0}, 2},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var log audit.Log
			for _, arrival := range test.arrivals {
				log = append(log, request(arrival, arrival+1))
			}
			require.InDelta(t, test.want, log.Burst(10), 1e-9)
		})
	}
}
