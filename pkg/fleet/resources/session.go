package resources

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/flight"
	"github.com/penstock-cd/penstock/pkg/fleet/table"
)

// slot is one list of one query: one kind of one cluster, or of one of its namespaces.
type slot struct {
	key
	kind, target int // indexes into the query
	page         *table.Page
	err          error
	// isRead is true where it is being read for this query, isAwaited where the answer
	// waits for that, isSettled where it has ended. What has failed before is read anew
	// behind the answer, as what is known is: a cluster that never answers costs the
	// deadline once, and not every answer.
	isRead, isAwaited, isSettled bool
	unavailable                  *fleet.Unavailable
}

// isTold tells whether there is something to say of it before it was read.
func (s *slot) isTold() bool { return s.page != nil || s.err != nil || s.unavailable != nil }

// session is one query, and what is known for it.
type session struct {
	query       Query
	fingerprint string
	slots       []slot // in the order of kinds, targets and namespaces
	isStream    bool   // which waits for everything that is read
	started     int
}

// newSession looks up what is known. Nobody is asked yet.
func newSession(query Query, known *cache, now time.Time) *session {
	s := &session{query: query, fingerprint: fingerprint(query), slots: make([]slot, 0, len(query.Kinds)*len(query.Targets))}
	for k, kind := range query.Kinds {
		for t := range query.Targets {
			target := &query.Targets[t]
			namespaces := target.Namespaces
			if len(namespaces) == 0 {
				namespaces = everywhere
			}
			for _, namespace := range namespaces {
				one := slot{kind: k, target: t, unavailable: target.Unavailable, key: key{
					cluster: target.Name, uid: target.UID, kind: kind, namespace: namespace, selector: query.LabelSelector, most: query.PerCluster,
				}}
				found := known.get(one.key, now)
				one.page, one.err = found.page, found.err
				if one.unavailable == nil {
					one.isRead = found.isDue || query.Fresh
					one.isAwaited = one.isRead && (query.Fresh || found.page == nil && found.err == nil)
				}
				s.slots = append(s.slots, one)
			}
		}
	}
	return s
}

var everywhere = []string{""}

// open is how many lists the answer waits for.
func (s *session) open() int {
	open := 0
	for i := range s.slots {
		if s.slots[i].isAwaited {
			open++
		}
	}
	return open
}

// wait takes the outcomes of all lists that the answer waits for, or those that have come
// when ctx ends.
func (s *session) wait(ctx context.Context, outcomes <-chan flight.Outcome[*table.Page]) {
	for open := s.open(); open > 0; {
		select {
		case outcome := <-outcomes:
			s.settle(outcome)
			if s.slots[outcome.Slot].isAwaited {
				open--
			}
		case <-ctx.Done():
			return
		}
	}
}

// settle takes the outcome of a list. What was known stays where that has failed.
func (s *session) settle(outcome flight.Outcome[*table.Page]) {
	one := &s.slots[outcome.Slot]
	one.isSettled, one.err = true, outcome.Err
	if outcome.Err == nil {
		one.page = outcome.Value
	}
}

// state is where one list stands.
func (s *session) state(one *slot, now time.Time) Cluster {
	cluster := Cluster{Name: one.cluster}
	if one.page != nil {
		cluster.AgeSeconds = int64(max(now.Sub(one.page.ReadAt), 0) / time.Second)
		cluster.Count = int64(len(one.page.Rows)) + one.page.Remaining
		cluster.Truncated = one.page.Continue != ""
	}
	switch {
	case one.unavailable != nil && one.unavailable.Skipped:
		return Cluster{Name: one.cluster, State: Skipped, Error: one.unavailable.Message}
	case one.unavailable != nil:
		cluster.State, cluster.Error = Unreachable, one.unavailable.Message
	case one.err != nil:
		cluster.State, cluster.Error = Failed, one.key.kind.String()+": "+one.err.Error()
	case one.page == nil:
		cluster.State = Pending
		cluster.Error = fmt.Sprintf("%s: no answer yet: ask again, or follow the stream", one.key.kind)
	case one.isRead && !one.isSettled:
		cluster.State = Stale
	default:
		cluster.State = Fresh
	}
	return cluster
}

// clusters are the states of all targets, in their order, each the worst of its lists'.
func (s *session) clusters(now time.Time) (clusters []Cluster, isComplete bool) {
	clusters = make([]Cluster, len(s.query.Targets))
	isComplete = true
	for i := range s.slots {
		one := &s.slots[i]
		state := s.state(one, now)
		isComplete = isComplete && rank[state.State] < rank[Pending] && !state.Truncated
		sum := &clusters[one.target]
		if rank[state.State] > rank[sum.State] {
			sum.State = state.State
		}
		sum.Name = state.Name
		sum.AgeSeconds = max(sum.AgeSeconds, state.AgeSeconds)
		sum.Count += state.Count
		sum.Truncated = sum.Truncated || state.Truncated
		if state.Error != "" && !strings.Contains(sum.Error, state.Error) {
			if sum.Error != "" {
				sum.Error += "; "
			}
			sum.Error += state.Error
		}
	}
	return clusters, isComplete
}

// columnsOf are the columns of one kind over all clusters: servers of different versions
// may have different ones.
func (s *session) columnsOf(kind int) []table.Column {
	columns := []table.Column{}
	for i := range s.slots {
		page := s.slots[i].page
		switch {
		case s.slots[i].kind != kind || page == nil || sameColumns(columns, page.Columns):
		case len(columns) == 0:
			columns = page.Columns
		default:
			columns = union(slices.Clip(columns), page.Columns)
		}
	}
	return columns
}

func union(columns, more []table.Column) []table.Column {
	for _, column := range more {
		if !slices.ContainsFunc(columns, func(known table.Column) bool { return known.Name == column.Name }) {
			columns = append(columns, column)
		}
	}
	return columns
}

// sameColumns is fast for the usual case: pages share their columns.
func sameColumns(a, b []table.Column) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// item is one row, its cells in the order of the columns.
func item(one *slot, row table.Row, columns []table.Column, now time.Time) Item {
	cells := one.page.Cells(row, now)
	if !sameColumns(one.page.Columns, columns) {
		moved := make([]any, len(columns))
		for i, column := range columns {
			at := slices.IndexFunc(one.page.Columns, func(own table.Column) bool { return own.Name == column.Name })
			if at >= 0 && at < len(cells) {
				moved[i] = cells[at]
			}
		}
		cells = moved
	}
	return Item{Cluster: one.cluster, Namespace: row.Namespace, Name: row.Name, Cells: cells}
}

// part is all of one list.
func (s *session) part(i int, now time.Time) Part {
	one := &s.slots[i]
	part := Part{Namespace: one.namespace, Kind: Kind{Kind: one.key.kind.String(), Items: []Item{}}, Cluster: s.state(one, now)}
	if one.page == nil || part.Cluster.State == Skipped {
		return part
	}
	part.Kind.Columns = one.page.Columns
	for _, row := range one.page.Rows {
		part.Kind.Items = append(part.Kind.Items, item(one, row, one.page.Columns, now))
	}
	return part
}
