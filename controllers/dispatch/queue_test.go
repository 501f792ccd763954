package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const lease = 30 * time.Second

// cd is the lane that tests use but for those of lanes.
var cd = store.Lane{Kind: store.KindCd}

// queue is the table of tasks in memory, with the guards of its SQL.
type queue struct {
	mu   sync.Mutex
	rows []*row
	// claims and broken count calls; while broken is above 0 every call fails.
	claims int
	broken int
}

type row struct {
	claim       store.Claim
	status      store.Status
	completion  store.Completion
	claimedBy   string
	claimedAt   time.Time
	leaseUntil  time.Time
	availableAt time.Time
	submittedAt time.Time
	delayedBy   v1alpha1.Reason
}

// newQueue holds n Pending tasks.
func newQueue(n int) *queue {
	q := &queue{}
	q.add(n)
	return q
}

func (q *queue) add(n int) { q.addTo(cd, n) }

func (q *queue) addTo(lane store.Lane, n int) { q.addAll(lane, "default", n) }

func (q *queue) addIn(namespace string, n int) { q.addAll(cd, namespace, n) }

func (q *queue) addAll(lane store.Lane, namespace string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range n {
		id := int64(len(q.rows) + 1)
		q.rows = append(q.rows, &row{status: store.StatusPending, claim: store.Claim{
			ID: id, Kind: lane.Kind, Cluster: lane.Cluster, Namespace: namespace, WorkflowName: fmt.Sprintf("workflow-%d", id),
			Owner:  store.Owner{Kind: "CdPipeline", Name: fmt.Sprintf("pipeline-%d", id)},
			Inputs: trigger.Inputs{Stage: trigger.StageDeploy, Build: "b1"},
		}})
	}
}

func (q *queue) ClaimWithin(_ context.Context, lane store.Lane, worker string, most int, lease time.Duration, rooms store.Rooms) ([]store.Claim, map[string]v1alpha1.Reason, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fault(); err != nil {
		return nil, nil, err
	}
	q.claims++
	var claims []store.Claim
	aside, taken := map[string]v1alpha1.Reason{}, map[string]int{}
	for _, r := range q.inOrder() {
		if len(claims) == most {
			break
		}
		if r.status != store.StatusPending || r.delayedBy != "" || time.Now().Before(r.availableAt) || lane != laneOf(r.claim) {
			continue
		}
		room, limited := rooms.Of[r.claim.Namespace]
		if !limited && rooms.Share > 0 {
			room, limited = store.Room{Tasks: rooms.Share, Cause: v1alpha1.ReasonNamespaceShare}, true
		}
		if limited && taken[r.claim.Namespace] >= room.Tasks {
			r.delayedBy, aside[r.claim.Namespace] = room.Cause, room.Cause
			continue
		}
		taken[r.claim.Namespace]++
		claims = append(claims, r.claimedFor(worker, lease))
	}
	return claims, aside, nil
}

func (q *queue) ClaimEnding(_ context.Context, lane store.Lane, worker string, most int, lease time.Duration) ([]store.Claim, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fault(); err != nil {
		return nil, err
	}
	var claims []store.Claim
	for _, r := range q.rows {
		if len(claims) < most && r.status == store.StatusPending && r.claim.StopReason != "" && lane == laneOf(r.claim) {
			claim := r.claimedFor(worker, lease)
			claim.Ending = true
			claims = append(claims, claim)
		}
	}
	return claims, nil
}

func (r *row) claimedFor(worker string, lease time.Duration) store.Claim {
	r.status, r.claimedBy, r.claimedAt, r.leaseUntil = store.StatusSubmitting, worker, time.Now(), time.Now().Add(lease)
	r.delayedBy = ""
	r.claim.Attempt++
	return r.claim
}

func (q *queue) ClaimDelayed(_ context.Context, lane store.Lane, worker string, lease time.Duration, rooms map[string]int) ([]store.Claim, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fault(); err != nil {
		return nil, err
	}
	var claims []store.Claim
	taken := map[string]int{}
	for _, r := range q.inOrder() {
		namespace := r.claim.Namespace
		early := time.Now().Before(r.availableAt) && argo.CauseBy(r.delayedBy).OfObject
		if r.status != store.StatusPending || r.delayedBy == "" || early || lane != laneOf(r.claim) || taken[namespace] >= rooms[namespace] {
			continue
		}
		taken[namespace]++
		claim := r.claimedFor(worker, lease)
		claim.Probe = true
		claims = append(claims, claim)
	}
	return claims, nil
}

// inOrder is the tasks as they are claimed: those that are to wait longest come last.
func (q *queue) inOrder() []*row {
	return slices.SortedStableFunc(slices.Values(q.rows), func(a, b *row) int { return a.availableAt.Compare(b.availableAt) })
}

func (q *queue) ReleaseDelayed(_ context.Context, lane store.Lane, namespaces []string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if lane == laneOf(r.claim) && slices.Contains(namespaces, r.claim.Namespace) {
			r.delayedBy = ""
		}
	}
	return false, q.fault()
}

func (q *queue) DelayedNamespaces(_ context.Context, lane store.Lane) (map[string]v1alpha1.Reason, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delayed := map[string]v1alpha1.Reason{}
	for _, r := range q.rows {
		if r.status == store.StatusPending && r.delayedBy != "" && lane == laneOf(r.claim) {
			delayed[r.claim.Namespace] = r.delayedBy
		}
	}
	return delayed, nil
}

func laneOf(claim store.Claim) store.Lane {
	return store.Lane{Kind: claim.Kind, Cluster: claim.Cluster}
}

func (q *queue) Complete(_ context.Context, worker string, completions []store.Completion) ([]store.Moved, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fault(); err != nil {
		return nil, err
	}
	var moved []store.Moved
	for _, completion := range completions {
		r := q.rows[completion.ID-1]
		if r.status != store.StatusSubmitting || r.claimedBy != worker || r.claim.Attempt != completion.Attempt {
			continue
		}
		r.status, r.completion, r.delayedBy = completion.Status, completion, completion.DelayedBy
		if completion.Delay > 0 { // else it keeps its place
			r.availableAt = time.Now().Add(completion.Delay)
		}
		if completion.Failed {
			r.claim.Failures++
		}
		if r.status == store.StatusSubmitted {
			r.submittedAt = time.Now()
		}
		moved = append(moved, store.Moved{ID: completion.ID, Status: string(completion.Status)})
	}
	return moved, nil
}

func (q *queue) ReclaimExpired(context.Context) (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var reclaimed int64
	for _, r := range q.rows {
		if r.status == store.StatusSubmitting && r.leaseUntil.Before(time.Now()) {
			r.status, r.claimedBy = store.StatusPending, ""
			reclaimed++
		}
	}
	return reclaimed, nil
}

func (q *queue) ActiveWorkflows(ctx context.Context, suspended ...int64) (all int64, err error) {
	in, err := q.ActiveByNamespace(ctx, suspended...)
	for _, active := range in {
		all += active
	}
	return all, err
}

func (q *queue) ActiveByNamespace(_ context.Context, suspended ...int64) (map[string]int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	active := map[string]int64{}
	for _, r := range q.rows {
		if (r.status == store.StatusSubmitting || r.status == store.StatusSubmitted) && !slices.Contains(suspended, r.claim.ID) {
			active[r.claim.Namespace]++
		}
	}
	return active, nil
}

// fault fails a call while calls are to fail. The caller holds the lock.
func (q *queue) fault() error {
	if q.broken == 0 {
		return nil
	}
	q.broken--
	return fmt.Errorf("database is down")
}

func (q *queue) count(status store.Status) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, r := range q.rows {
		if r.status == status {
			n++
		}
	}
	return n
}

// read is a task as it is now.
func (q *queue) read(id int64) row {
	q.mu.Lock()
	defer q.mu.Unlock()
	return *q.rows[id-1]
}

// succeed ends a task's Workflow.
func (q *queue) succeed(id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows[id-1].status = store.StatusSucceeded
}

func (q *queue) claimed() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claims
}

// submitter creates Workflows in memory, and counts.
type submitter struct {
	// submit is what creating one takes and says.
	submit func(ctx context.Context, claim store.Claim) error

	mu        sync.Mutex
	inFlight  int
	peak      int
	calls     map[int64][]time.Time
	workflows map[string]int64
}

func newSubmitter(submit func(context.Context, store.Claim) error) *submitter {
	return &submitter{submit: submit, calls: map[int64][]time.Time{}, workflows: map[string]int64{}}
}

func (s *submitter) Submit(ctx context.Context, claim store.Claim) (argo.Made, error) {
	s.mu.Lock()
	s.inFlight++
	s.peak = max(s.peak, s.inFlight)
	s.calls[claim.ID] = append(s.calls[claim.ID], time.Now())
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	if err := s.submit(ctx, claim); err != nil {
		return argo.Made{}, err
	}
	s.mu.Lock()
	s.workflows[claim.WorkflowName] = claim.ID
	s.mu.Unlock()
	return argo.Made{UID: "uid-of-" + claim.WorkflowName}, nil
}

func (s *submitter) made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.workflows)
}

func (s *submitter) callsOf(id int64) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

func (s *submitter) allCalls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, calls := range s.calls {
		n += len(calls)
	}
	return n
}

// takes is a submission that takes so long, and obeys its context.
func takes(long time.Duration) func(context.Context, store.Claim) error {
	return func(ctx context.Context, _ store.Claim) error { return wait(ctx, long) }
}

func wait(ctx context.Context, long time.Duration) error {
	select {
	case <-time.After(long):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// running is a dispatcher that was started.
type running struct {
	*dispatch.Dispatcher
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// start runs a dispatcher until stop, or the end of the test.
func start(t *testing.T, q *queue, s *submitter, change ...func(*dispatch.Config)) *running {
	t.Helper()
	config := dispatch.Config{
		Lane: cd, Queue: q, Submitter: s, Limit: 5, Lease: lease, Grace: 10 * time.Second,
		Busy: func(bool) {}, Held: func() {}, Moved: func([]store.Moved) {}, Log: logr.Discard(),
	}
	for _, with := range change {
		with(&config)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Dispatcher: dispatch.New(config), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = r.Start(ctx)
	}()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// stop shuts the dispatcher down, and returns when it has ended.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	<-r.ended
	require.NoError(t, r.err)
}
