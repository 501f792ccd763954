// Package resources lists kinds of objects of many clusters in one answer, and keeps what
// the clusters answered in memory for a while. It reads the clusters, and writes nothing.
//
// An answer waits for no cluster longer than its deadline: what is not there by then is
// marked, arrives in the cache later, and is in the next answer. What is there already is
// told at once, with its age, and is read anew in the background.
package resources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/flight"
	"github.com/penstock-cd/penstock/pkg/fleet/table"
)

const (
	// maxKinds is the most kinds of one query.
	maxKinds = 16
	// maxLimit is the most items of one page.
	maxLimit = 5000
	// behindShare is the part of Parallelism that requests may take for which no answer waits:
	// a sixth, so that reading many clusters anew is spread over seconds.
	behindShare = 6
)

// ErrInvalid is wrapped by the errors of queries that can never be answered.
var ErrInvalid = errors.New("invalid query")

// Config is what a Lister needs. Each field but Clients has a default.
type Config struct {
	Clients fleet.Clients
	// CacheBytes bounds what is kept in memory. Defaults to 64 MiB.
	CacheBytes int
	// Parallelism is how many requests to clusters are under way at once. Defaults to 300:
	// three kinds of a hundred clusters take one round trip.
	Parallelism int
	// FetchTimeout bounds reading one kind of one cluster, however many pages that takes.
	// Defaults to 10 s.
	FetchTimeout time.Duration
	// Deadline is for how long an answer waits for clusters. Defaults to 2 s.
	Deadline time.Duration
	// FreshFor is for how long what a cluster answered is not read anew. Defaults to 5 s.
	FreshFor time.Duration
	// KeepFor is for how long it is shown at all. Defaults to 10 min.
	KeepFor time.Duration
	// PerCluster is the most objects of one kind that are read of one cluster. Defaults to
	// 2,000.
	PerCluster int
}

// Target is one cluster of a query.
type Target struct {
	fleet.Target
	// Namespaces are those that may be shown. Empty means all, cluster-scoped kinds
	// included.
	Namespaces []string
}

// Query says what is listed.
type Query struct {
	Kinds   []fleet.Kind
	Targets []Target
	// LabelSelector selects objects, as the API server's parameter does.
	LabelSelector string
	// Fresh waits for what is read anew, up to the deadline, instead of showing what was
	// read before.
	Fresh bool
	// PerCluster is the most objects of one kind and cluster; 0, and more than that, mean
	// Config.PerCluster.
	PerCluster int
	// Limit is the most items of this page; 0 means 500.
	Limit int
	// Continue is that of the page before.
	Continue string
	// Asked is by what Targets were chosen. A page of one choice does not go on in another,
	// while the targets of a choice may come and go between two pages.
	Asked string
}

// State is where one cluster's part of an answer stands.
type State string

// The states, the best first.
const (
	// Fresh: what is shown was read just now.
	Fresh State = "Fresh"
	// Stale: what is shown was read before; it is being read anew.
	Stale State = "Stale"
	// Skipped: the cluster is virtual or suspended, and nothing is expected of it.
	Skipped State = "Skipped"
	// Pending: it has not answered yet.
	Pending State = "Pending"
	// Failed: it has answered with an error.
	Failed State = "Failed"
	// Unreachable: it is known not to answer, and was not asked.
	Unreachable State = "Unreachable"
)

// rank is the order of states: a cluster is in the worst of its kinds'.
var rank = map[State]int{Skipped: 1, Fresh: 2, Stale: 3, Pending: 4, Failed: 5, Unreachable: 6}

// Cluster is how one cluster answered, for all kinds together.
type Cluster struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// AgeSeconds is how old the oldest shown part is.
	AgeSeconds int64 `json:"ageSeconds"`
	// Count is how many objects there are, those that were read and those that the cluster says remain.
	Count int64 `json:"count"`
	// Truncated is true where more exist than are read of one cluster.
	Truncated bool `json:"truncated,omitempty"`
	// Error says what is missing and why.
	Error string `json:"error,omitempty"`
}

// Item is one object. Its cells are in the order of the columns of its kind.
type Item struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Cells     []any  `json:"cells"`
}

// Kind is the items of one kind.
type Kind struct {
	Kind    string         `json:"kind"`
	Columns []table.Column `json:"columns"`
	Items   []Item         `json:"items"`
}

// Answer is one page over all clusters, in the order of kinds, clusters, namespaces and
// names.
type Answer struct {
	Kinds    []Kind    `json:"kinds"`
	Clusters []Cluster `json:"clusters"`
	// Complete is true where nothing is missing of any cluster. What further pages hold is
	// not missing.
	Complete bool `json:"complete"`
	// Continue asks for the next page; empty on the last one.
	Continue string `json:"continue,omitempty"`
}

// Lister answers queries. It is safe for concurrent use.
type Lister struct {
	config  Config
	cache   *cache
	flights *flight.Group[key, *table.Page]
}

// New returns a lister that has read nothing yet.
func New(config Config) *Lister {
	config.CacheBytes = cmp.Or(config.CacheBytes, 64<<20)
	config.Parallelism = cmp.Or(config.Parallelism, 300)
	config.FetchTimeout = cmp.Or(config.FetchTimeout, 10*time.Second)
	config.Deadline = cmp.Or(config.Deadline, 2*time.Second)
	config.FreshFor = cmp.Or(config.FreshFor, 5*time.Second)
	config.KeepFor = cmp.Or(config.KeepFor, 10*time.Minute)
	config.PerCluster = cmp.Or(config.PerCluster, 2000)
	l := &Lister{config: config, cache: newCache(config.CacheBytes, config.FreshFor, config.KeepFor)}
	l.flights = flight.New(flight.Config[key, *table.Page]{
		Limit: config.Parallelism, Behind: max(config.Parallelism/behindShare, 1), Timeout: config.FetchTimeout, Run: l.fetch, OnEnd: l.keep,
	})
	return l
}

// Close ends what is being read, and returns when nothing is left.
func (l *Lister) Close() { l.flights.Close() }

// List answers within the deadline, or when ctx ends. The only errors are those that wrap
// ErrInvalid: that clusters do not answer is part of the answer.
func (l *Lister) List(ctx context.Context, query Query) (Answer, error) {
	s, position, err := l.plan(query)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.config.Deadline)
	defer cancel()
	s.wait(ctx, l.start(s))
	return s.answer(position, time.Now()), nil
}

// Part is what one cluster answered of one kind.
type Part struct {
	// Namespace is the one that was listed; empty where that is all of them. A part replaces
	// the one before of the same kind, cluster and namespace.
	Namespace string  `json:"namespace,omitempty"`
	Kind      Kind    `json:"kind"`
	Cluster   Cluster `json:"cluster"`
}

// IsComplete tells whether nothing of the part is missing.
func (p Part) IsComplete() bool { return rank[p.Cluster.State] < rank[Pending] && !p.Cluster.Truncated }

// Stream calls yield with what each cluster answers of each kind, as it comes: first what
// is known, then what is read. A part that was known is told again when it was read anew.
// It returns nil when all have answered, ctx.Err(), the error of yield, or one that wraps
// ErrInvalid. There are no pages: Limit and Continue are not used.
func (l *Lister) Stream(ctx context.Context, query Query, yield func(Part) error) error {
	query.Continue = ""
	s, _, err := l.plan(query)
	if err != nil {
		return err
	}
	s.isStream = true
	outcomes := l.start(s)
	for i := range s.slots {
		if s.slots[i].isTold() {
			if err := yield(s.part(i, time.Now())); err != nil {
				return err
			}
		}
	}
	for open := s.started; open > 0; open-- {
		select {
		case outcome := <-outcomes:
			s.settle(outcome)
			if err := yield(s.part(outcome.Slot, time.Now())); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// start reads what is not fresh, and returns where the outcomes come.
func (l *Lister) start(s *session) <-chan flight.Outcome[*table.Page] {
	var wants []flight.Want[key]
	for i := range s.slots {
		if s.slots[i].isRead {
			wants = append(wants, flight.Want[key]{Slot: i, Key: s.slots[i].key, Behind: !s.isStream && !s.slots[i].isAwaited})
		}
	}
	s.started = len(wants)
	return l.flights.Start(wants)
}

// inOrder returns the targets in the order in which pages show them.
func inOrder(targets []Target) []Target {
	targets = slices.Clone(targets)
	for i := range targets {
		targets[i].Namespaces = slices.Compact(slices.Sorted(slices.Values(targets[i].Namespaces)))
	}
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Compare(a.Name, b.Name) })
	return targets
}

// plan checks a query, and makes a slot for each list that it needs.
func (l *Lister) plan(query Query) (*session, position, error) {
	invalid := func(format string, args ...any) (*session, position, error) {
		return nil, position{}, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	if len(query.Kinds) == 0 || len(query.Kinds) > maxKinds {
		return invalid("name 1 to %d kinds, not %d", maxKinds, len(query.Kinds))
	}
	if query.Limit < 0 || query.Limit > maxLimit || query.PerCluster < 0 {
		return invalid("the limit must be from 1 to %d", maxLimit)
	}
	selector, err := labels.Parse(query.LabelSelector)
	if err != nil {
		return invalid("the label selector can't be read: %v", err)
	}
	query.LabelSelector = selector.String()
	query.Limit = cmp.Or(query.Limit, 500)
	query.PerCluster = min(cmp.Or(query.PerCluster, l.config.PerCluster), l.config.PerCluster)
	query.Targets = inOrder(query.Targets)
	at, err := parsePosition(query)
	if err != nil {
		return invalid("%v", err)
	}
	return newSession(query, l.cache, time.Now()), at, nil
}
