package dispatch

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// aside is what is known of the tasks that were set aside. It is safe for concurrent use.
type aside struct {
	mu sync.Mutex
	// shared are namespaces of which tasks wait for others there to end, since they have a
	// share.
	shared map[string]bool
	// opened are namespaces that are open again, and whose tasks are put back into the queue.
	opened map[string]bool
}

func newAside() *aside { return &aside{shared: map[string]bool{}, opened: map[string]bool{}} }

func (a *aside) open(namespace string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened[namespace] = true
}

func (a *aside) released(namespaces []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, namespace := range namespaces {
		delete(a.opened, namespace)
	}
}

func (a *aside) toRelease() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.opened))
}

// waitForShare takes note of tasks that were set aside for their namespace's share.
func (a *aside) waitForShare(namespace string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shared[namespace] = true
}

// drained takes note that none is left.
func (a *aside) drained(namespace string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.shared, namespace)
}

func (a *aside) waiting() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.shared))
}

// unshare has what waits for a share put back into the queue.
func (a *aside) unshare() {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.opened, a.shared)
	clear(a.shared)
}

// Admits tells whether the Workflow of a claim may be tried now, and if not, why. It is for
// argo.Submitter. What was claimed to be ended and now need not be waits for the gate again.
func (d *Dispatcher) Admits(claim store.Claim) (reason string, admitted bool) {
	if claim.Ending {
		return "", false
	}
	return d.causes.Admits(claim.Namespace, claim.Probe)
}

// Freed says that a Workflow of a namespace was deleted, which may make room for another. It
// never blocks.
func (d *Dispatcher) Freed(namespace string) {
	if d.causes.Freed(namespace, time.Now()) {
		d.Wake()
	}
}

// DelayOf returns why no Workflows are created in a namespace for now; false where they
// are.
func (d *Dispatcher) DelayOf(namespace string) (limit.Delay, bool) { return d.causes.Of(namespace) }

// account keeps what the end of a submission tells of its namespace, and sets its task aside
// where others of the namespace are refused too.
func (d *Dispatcher) account(claim store.Claim, completion *store.Completion, err error) {
	now := time.Now()
	cause, message, refused := argo.CauseOf(err)
	switch {
	case completion.Status == store.StatusSubmitted:
		if d.causes.Passed(claim.Namespace, claim.Probe, now) {
			d.open(claim.Namespace)
		}
	case completion.Status == store.StatusPending && refused:
		d.refuse(claim, completion, cause, clip.Text(message, maxMessage), now)
	case claim.Probe:
		d.causes.Unproven(claim.Namespace, now)
	}
	if claim.Probe || refused {
		d.Wake()
	}
}

func (d *Dispatcher) refuse(claim store.Claim, completion *store.Completion, cause limit.Cause, message string, now time.Time) {
	delay, shut := d.causes.Refused(claim.Namespace, cause, message, claim.Probe, now)
	if !shut {
		return
	}
	completion.DelayedBy = v1alpha1.Reason(cause.Reason)
	if !cause.OfObject { // else the task itself may be to blame, and others go first
		completion.Delay = max(delay.Next.Sub(now), time.Millisecond)
	}
	if delay.Since.Equal(now) {
		d.Log.Info("namespace shut, its triggers wait", "namespace", claim.Namespace, "reason", cause.Reason, "message", message)
	}
	d.Delayed(claim.Namespace)
}

// setAside gives a task back that was claimed before its namespace was shut, and not tried.
func (d *Dispatcher) setAside(claim store.Claim, reason v1alpha1.Reason) {
	if claim.Probe {
		d.causes.Unproven(claim.Namespace, time.Now())
	}
	d.commit(store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusPending, DelayedBy: reason})
}

// open has what was set aside in a namespace put back into the queue.
func (d *Dispatcher) open(namespace string) {
	d.Log.Info("namespace open again", "namespace", namespace)
	d.aside.open(namespace)
	d.Delayed(namespace)
	d.Wake()
}

// learn finds namespaces of which tasks are set aside and that nothing is known of, as after
// a start: one task of each is tried before the others.
func (d *Dispatcher) learn(ctx context.Context) {
	delayed, err := d.Queue.DelayedNamespaces(ctx, d.Lane)
	if err != nil && ctx.Err() == nil {
		d.Log.Error(err, "delayed namespaces not listed, will retry")
	}
	for _, namespace := range d.aside.toRelease() {
		delete(delayed, namespace) // it is on its way back
	}
	for namespace, reason := range delayed {
		if reason == v1alpha1.ReasonNamespaceShare {
			d.aside.waitForShare(namespace)
			continue
		}
		d.causes.Learn(namespace, argo.CauseBy(reason), time.Now())
	}
}

// claimAll claims up to most tasks: first the probes that are due, of what was set aside;
// then, in turns, what waits for a share before or after the queue. Active are the unfinished
// Workflows by namespace, where each has a share. More tells that there may be more although
// there are fewer.
func (d *Dispatcher) claimAll(ctx context.Context, most int, active map[string]int64) (claims []store.Claim, more bool, err error) {
	if d.share.Load() <= 0 {
		d.aside.unshare()
	}
	released, err := d.release(ctx)
	if err != nil {
		return nil, false, err
	}
	claims, err = d.claimProbes(ctx, most, active)
	if err != nil {
		return claims, false, err
	}
	sources := []func(context.Context, int, map[string]int64) ([]store.Claim, bool, error){d.claimShared, d.claimQueue}
	if d.queueFirst = !d.queueFirst; d.queueFirst {
		slices.Reverse(sources)
	}
	for _, claim := range sources {
		if len(claims) >= most {
			return claims, false, nil
		}
		some, others, err := claim(ctx, most-len(claims), active)
		claims, more = append(claims, some...), more || others
		if err != nil {
			return claims, false, err
		}
	}
	return claims, released || more, nil
}

// claimQueue claims from the queue. More tells that it has set some aside instead.
func (d *Dispatcher) claimQueue(ctx context.Context, most int, active map[string]int64) (claims []store.Claim, more bool, err error) {
	claims, aside, err := d.Queue.ClaimWithin(ctx, d.Lane, d.Worker.name, most, d.Lease, d.rooms(active))
	for namespace, reason := range aside {
		if reason == v1alpha1.ReasonNamespaceShare {
			d.aside.waitForShare(namespace)
		}
		d.Delayed(namespace)
	}
	return claims, len(aside) > 0, err
}

// claimShared claims what waits for a share, of each namespace as many as it has room for.
func (d *Dispatcher) claimShared(ctx context.Context, most int, active map[string]int64) ([]store.Claim, bool, error) {
	shut, rooms, left := d.causes.Shut(), map[string]int{}, most
	waiting := d.aside.waiting()
	rand.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
	for _, namespace := range waiting {
		if _, isShut := shut[namespace]; isShut {
			continue
		}
		if tasks := min(d.shareLeft(namespace, active), left); tasks > 0 {
			rooms[namespace] = tasks
			left -= tasks
		}
	}
	if len(rooms) == 0 {
		return nil, false, nil
	}
	claims, err := d.Queue.ClaimDelayed(ctx, d.Lane, d.Worker.name, d.Lease, rooms)
	if err != nil {
		return nil, false, err
	}
	for i := range claims {
		claims[i].Probe = false
		rooms[claims[i].Namespace]--
	}
	for namespace, left := range rooms {
		if left > 0 {
			d.aside.drained(namespace)
		}
	}
	return claims, false, nil
}

// shareLeft is how many more Workflows a namespace may have.
func (d *Dispatcher) shareLeft(namespace string, active map[string]int64) int {
	share := d.share.Load()
	if share <= 0 {
		return math.MaxInt32
	}
	return int(max(share-active[namespace], 0))
}

// rooms are what namespaces have room for in the queue: none where they are shut, or where
// others wait that came before; else the rest of their share.
func (d *Dispatcher) rooms(active map[string]int64) store.Rooms {
	rooms := store.Rooms{Of: map[string]store.Room{}, Share: int(d.share.Load())}
	if rooms.Share > 0 {
		for namespace := range active {
			rooms.Of[namespace] = store.Room{Tasks: d.shareLeft(namespace, active), Cause: v1alpha1.ReasonNamespaceShare}
		}
	}
	for _, namespace := range d.aside.waiting() {
		rooms.Of[namespace] = store.Room{Cause: v1alpha1.ReasonNamespaceShare}
	}
	for namespace, reason := range d.causes.Shut() {
		rooms.Of[namespace] = store.Room{Cause: v1alpha1.Reason(reason)}
	}
	return rooms
}

// claimProbes claims a few of the tasks that were set aside, of each namespace where a probe
// is due.
func (d *Dispatcher) claimProbes(ctx context.Context, most int, active map[string]int64) ([]store.Claim, error) {
	rooms, left := map[string]int{}, most
	for _, probe := range d.causes.Due(time.Now()) {
		if tasks := min(probe.Tasks, left, d.shareLeft(probe.Namespace, active)); tasks > 0 {
			rooms[probe.Namespace] = tasks
			left -= tasks
		}
	}
	if len(rooms) == 0 {
		return nil, nil
	}
	claims, err := d.Queue.ClaimDelayed(ctx, d.Lane, d.Worker.name, d.Lease, rooms)
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, claim := range claims {
		found[claim.Namespace]++
	}
	for namespace := range rooms {
		switch tasks := found[namespace]; {
		case tasks > 0:
			d.causes.Begin(namespace, tasks)
		case d.causes.Empty(namespace, time.Now()):
			d.open(namespace)
		}
	}
	return claims, nil
}

// release puts some of what was set aside in namespaces that are open again back into the
// queue, and returns whether it was all that there was.
func (d *Dispatcher) release(ctx context.Context) (more bool, err error) {
	shut := d.causes.Shut()
	opened := d.aside.toRelease()
	isOpen := slices.DeleteFunc(slices.Clone(opened), func(namespace string) bool { _, isShut := shut[namespace]; return isShut })
	if len(isOpen) > 0 {
		if more, err = d.Queue.ReleaseDelayed(ctx, d.Lane, isOpen); err != nil {
			return false, fmt.Errorf("put delayed tasks back: %w", err)
		}
	}
	if !more {
		d.aside.released(opened)
	}
	return more, nil
}
