// Package audit reads what Penstock asked of the API server from the server's audit
// log; it writes nothing.
//
//	log, err := audit.Read(local.AuditLog)
//	log.Penstock().In(namespace).Creates().MostAtOnce()
package audit

import (
	"slices"
	"time"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

// Log is finished requests, in the order in which they ended.
type Log []env.AuditEvent

// Read reads an audit log, which may still be written.
func Read(path string) (Log, error) {
	log, err := env.ReadAudit(path)
	slices.SortStableFunc(log, func(a, b env.AuditEvent) int { return a.Finished.Compare(b.Finished) })
	return log, err
}

// Penstock keeps the requests of Penstock.
func (l Log) Penstock() Log {
	return l.keep(func(event env.AuditEvent) bool { return event.User == string(env.Penstock) })
}

// In keeps the requests in a namespace.
func (l Log) In(namespace string) Log {
	return l.keep(func(event env.AuditEvent) bool { return event.Namespace == namespace })
}

// Since keeps the requests that began no earlier.
func (l Log) Since(at time.Time) Log {
	return l.keep(func(event env.AuditEvent) bool { return !event.Received.Before(at) })
}

// Until keeps the requests that had ended by then.
func (l Log) Until(at time.Time) Log {
	return l.keep(func(event env.AuditEvent) bool { return !event.Finished.After(at) })
}

// Writes keeps the requests for a change of something, whatever the answer.
func (l Log) Writes() Log {
	return l.keep(func(event env.AuditEvent) bool {
		return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, event.Verb)
	})
}

// Attempts keeps the requests for a new Workflow, whatever the answer.
func (l Log) Attempts() Log {
	return l.keep(func(event env.AuditEvent) bool { return event.Resource == "workflows" && event.Verb == "create" })
}

// Reads keeps the requests for one object of a resource, whatever the answer.
func (l Log) Reads(resource string) Log {
	return l.keep(func(event env.AuditEvent) bool { return event.Resource == resource && event.Verb == "get" })
}

// Named keeps the requests about objects of these names, or about all others.
func (l Log) Named(names map[string]bool, are bool) Log {
	return l.keep(func(event env.AuditEvent) bool { return names[event.Name] == are })
}

// Creates keeps the requests that made a Workflow.
func (l Log) Creates() Log {
	const created = 201
	return l.Attempts().keep(func(event env.AuditEvent) bool { return event.Code == created })
}

// MostAtOnce is the most of the requests that overlap.
func (l Log) MostAtOnce() int {
	spans := make([]measure.Span, len(l))
	for i, event := range l {
		spans[i] = measure.Span{Begin: event.Received, End: event.Finished}
	}
	return measure.MostAtOnce(spans)
}

// Last is when the last of the requests ended; zero where there is none.
func (l Log) Last() time.Time {
	var last time.Time
	for _, event := range l {
		if event.Finished.After(last) {
			last = event.Finished
		}
	}
	return last
}

func (l Log) keep(wanted func(env.AuditEvent) bool) Log {
	var kept Log
	for _, event := range l {
		if wanted(event) {
			kept = append(kept, event)
		}
	}
	return kept
}
