package route

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// MaxItems is how many events of a group are kept to be named, the last among them; all are
	// counted.
	MaxItems = 20
	// TypeStorm is the type of the digest of what came beyond a channel's rate.
	TypeStorm v1alpha1.NotificationEvent = "Storm"
	// TypeTest is that of a message that tests a channel.
	TypeTest v1alpha1.NotificationEvent = "Test"
	// stormInterval is how long a digest gathers.
	stormInterval = time.Minute
	// groupOfStorm is the digest's group.
	groupOfStorm = "storm"
	// updateGap is the least time between two versions of one message.
	updateGap = time.Second
)

// State is what became of a notification.
type State string

// States.
const (
	// Waiting: it is to be sent, or to be tried again.
	Waiting State = "Waiting"
	Sent    State = "Sent"
	// GivenUp: the receiver refused it, or it was tried for a day.
	GivenUp State = "GivenUp"
	// Skipped: it was over before it was told.
	Skipped State = "Skipped"
)

// Key is a group of events that are told together in one channel.
type Key struct{ Namespace, Policy, Channel, Group string }

// Notification is what is told of one group.
type Notification struct {
	ID int64
	Key
	// Seq counts the notifications of one group.
	Seq      int32
	Type     v1alpha1.NotificationEvent
	BuildUID string
	// Items are the first events and the last, and Events counts all.
	Items  []Item
	Events int64
	// IsComplete: all runs of the build have ended, or what was wrong is over.
	IsComplete bool
	// Wanted is the version that is to be sent, Sent the last that was; 0 is none.
	Wanted, Sent int32
	State        State
	// Attempts is how often it was tried since it was last sent. InFlight: it is being sent.
	Attempts int32
	InFlight bool
	// DueAt is when it is sent; zero where it is not.
	DueAt time.Time
	// CreatedAt, ChangedAt and SentAt are zero where that did not happen.
	CreatedAt, ChangedAt, SentAt time.Time
	// ClosesAt is when the group ends; zero is never.
	ClosesAt time.Time
	// TriedSince is when the first attempt began that has had no success.
	TriedSince time.Time
	// Reference is what the sender returned. Error is the last; empty for none.
	Reference, Error string
}

// Target is a channel of a policy.
type Target struct {
	Namespace, Policy, Channel string
	Type                       v1alpha1.ChannelType
	// Updates: a message that was sent can be changed in place.
	Updates        bool
	By             v1alpha1.GroupBy
	Wait, Interval time.Duration
	// PerMinute is how many groups the channel begins in a minute.
	PerMinute int32
	// TellsRecovery: the end of an outage is told.
	TellsRecovery bool
}

// What a policy or a channel has that says nothing else, as the API server would set it.
const (
	defaultWait, defaultInterval = 10 * time.Second, 5 * time.Minute
	defaultPerMinute             = 30
)

// NewTarget is a channel of a policy. The zero spec is that of a channel that does not exist yet.
func NewTarget(policy *v1alpha1.NotificationPolicy, channel string, spec v1alpha1.NotificationChannelSpec) Target {
	group := policy.Spec.Group
	target := Target{
		Namespace: policy.Namespace, Policy: policy.Name, Channel: channel, Type: spec.Type, Updates: spec.Updates(), By: group.By,
		Wait: defaultWait, Interval: defaultInterval, PerMinute: defaultPerMinute,
		TellsRecovery: slices.Contains(policy.Spec.Tells(), v1alpha1.EventClusterRecovered),
	}
	if target.By == "" {
		target.By = v1alpha1.GroupByBuild
	}
	if group.Wait != nil {
		target.Wait = group.Wait.Duration
	}
	if group.Interval != nil {
		target.Interval = group.Interval.Duration
	}
	if spec.RateLimit != nil && spec.RateLimit.PerMinute > 0 {
		target.PerMinute = spec.RateLimit.PerMinute
	}
	return target
}

// Key is the group of an event in the target's channel.
func (t Target) Key(item Item) Key {
	return Key{Namespace: t.Namespace, Policy: t.Policy, Channel: t.Channel, Group: t.group(item)}
}

func (t Target) group(item Item) string {
	switch {
	case item.Cluster != "":
		return "cluster/" + item.Cluster
	case item.BaseImage != "":
		return fmt.Sprintf("wave/%s/%d", item.BaseImage, item.Wave)
	case t.Type == v1alpha1.ChannelCommitStatus:
		return "commit/" + item.BuildUID + "/" + item.Pipeline
	}
	of := item.Pipeline
	if of == "" {
		of = "build of " + item.CiPipeline
	}
	switch t.By {
	case v1alpha1.GroupByPipeline:
		return "pipeline/" + of
	case v1alpha1.GroupByApplication:
		return "application/" + item.Application
	case v1alpha1.GroupByEnvironment:
		return "environment/" + item.Environment
	case v1alpha1.GroupByNone:
		return "each/" + string(item.Type) + "/" + of + "/" + item.kindOfFailure()
	}
	return "build/" + item.BuildUID
}

// kindOfFailure is the same for failures that are told once: those of one pipeline for one
// reason. All else is told for each build.
func (i Item) kindOfFailure() string {
	switch i.Type {
	case v1alpha1.EventRunFailed, v1alpha1.EventRunDelayed, v1alpha1.EventRunHeld:
		return i.Reason
	}
	return i.BuildUID
}

// isUrgent tells of an event that somebody should know of before all is done, whether or not
// the message can be changed then.
func (i Item) isUrgent() bool {
	switch i.Type {
	case v1alpha1.EventBuildSucceeded, v1alpha1.EventBuildFailed, v1alpha1.EventRunHeld, v1alpha1.EventRunDelayed:
		return true
	}
	return false
}

// Extends tells whether an event that the policy does not tell is added where its group is
// told already: that all is done, and that an outage is over.
func (t Target) Extends(item Item) bool {
	switch item.Type {
	case v1alpha1.EventTriggersCompleted:
		return t.By == v1alpha1.GroupByBuild && t.Type != v1alpha1.ChannelCommitStatus
	case v1alpha1.EventClusterRecovered:
		return true
	}
	return false
}

// Add adds an event to a group of which last is the newest notification, nil for none, and
// returns the notification that is written then; false where nothing is to be told. begins
// means that the policy tells the event, so that it may begin a group. now is the database's.
func (t Target) Add(last *Notification, item Item, begins bool, now time.Time) (Notification, bool) {
	n, isOpen := Notification{}, last != nil && (last.ClosesAt.IsZero() || last.ClosesAt.After(now))
	switch {
	case isOpen:
		n = *last
	case !begins || item.Type == v1alpha1.EventClusterRecovered:
		return n, false
	default:
		n = t.begin(last, item)
	}
	if n.hasSaid(item) {
		return n, false
	}
	n.add(item)
	switch {
	case item.Cluster != "":
		t.addCluster(&n, item, now)
	case item.BaseImage != "":
		n.wantAt(now)
	case t.Type == v1alpha1.ChannelCommitStatus:
		n.wantAt(now)
	case t.By == v1alpha1.GroupByBuild:
		t.addToBuild(&n, item, now)
	default:
		t.addToInterval(&n, isOpen, now)
	}
	return n, true
}

// hasSaid tells whether an event that says that all is done is there already: the last events
// of a build may be read in several batches, each of which says so.
func (n *Notification) hasSaid(item Item) bool {
	return item.Type == v1alpha1.EventTriggersCompleted && slices.ContainsFunc(n.Items, func(said Item) bool {
		return said.Type == item.Type && said.BuildUID == item.BuildUID && said.At.Equal(item.At)
	})
}

func (t Target) begin(last *Notification, item Item) Notification {
	n := Notification{Key: t.Key(item), Seq: 1, Type: item.Type, BuildUID: item.BuildUID, State: Waiting}
	if last != nil {
		n.Seq = last.Seq + 1
	}
	return n
}

func (n *Notification) add(item Item) {
	n.Events++
	n.Type = item.Type
	kept := min(len(n.Items), MaxItems-1)
	n.Items = append(n.Items[:kept:kept], item)
}

func (t Target) addCluster(n *Notification, item Item, now time.Time) {
	if item.Type != v1alpha1.EventClusterRecovered {
		n.wantAt(t.next(n, t.Wait, now))
		return
	}
	n.IsComplete, n.ClosesAt = true, now
	switch {
	case n.Sent == 0 && n.Attempts == 0:
		n.State, n.DueAt = Skipped, time.Time{}
	case t.TellsRecovery:
		n.wantAt(now)
	}
}

// addToBuild has the group told when it begins to fail, where that can be changed later, and
// when all is done.
func (t Target) addToBuild(n *Notification, item Item, now time.Time) {
	switch {
	case item.Type == v1alpha1.EventTriggersCompleted:
		n.IsComplete = true
		n.wantAt(now)
	case item.isUrgent(), item.Type == v1alpha1.EventRunFailed && t.Updates:
		n.wantAt(t.next(n, t.Wait, now))
	default:
		n.wantAt(t.next(n, t.Interval, now))
	}
}

// addToInterval has the group told soon after it began, and what came later when it ends.
func (t Target) addToInterval(n *Notification, isOpen bool, now time.Time) {
	switch {
	case !isOpen:
		n.ClosesAt = now.Add(max(t.Interval, t.Wait))
		n.wantAt(now.Add(t.Wait))
	case n.Sent == 0 && n.Attempts == 0:
		n.wantAt(n.DueAt)
	default:
		n.wantAt(n.ClosesAt)
	}
}

// next is when a group is told of which something has changed.
func (t Target) next(n *Notification, wait time.Duration, now time.Time) time.Time {
	switch {
	case n.InFlight:
		return now.Add(t.Interval)
	case n.Sent == 0:
		return now.Add(wait)
	}
	if after := n.SentAt.Add(t.Interval); after.After(now) {
		return after
	}
	return now
}

// wantAt makes a new version due, unless one is due before. One that is being tried is not
// tried earlier: its receiver may have said when.
func (n *Notification) wantAt(at time.Time) {
	if n.Wanted == n.Sent || n.Attempts > 0 {
		n.Wanted++
	}
	if gap := n.SentAt.Add(updateGap); at.Before(gap) {
		at = gap
	}
	if n.State != Waiting || n.DueAt.IsZero() || n.InFlight || (at.Before(n.DueAt) && n.Attempts == 0) {
		n.DueAt = at
	}
	n.State = Waiting
}

// Storm adds an event to the digest of a channel that has begun as many groups within a minute
// as it may.
func (t Target) Storm(last *Notification, item Item, now time.Time) Notification {
	n := Notification{Key: t.StormKey(), Seq: 1, Type: TypeStorm, State: Waiting}
	switch {
	case last != nil && last.ClosesAt.After(now):
		n = *last
	case last != nil:
		n.Seq = last.Seq + 1
		fallthrough
	default:
		n.ClosesAt = now.Add(stormInterval)
	}
	n.add(item)
	n.Type = TypeStorm
	n.wantAt(n.ClosesAt)
	return n
}

// StormKey is the group of the channel's digest.
func (t Target) StormKey() Key {
	return Key{Namespace: t.Namespace, Policy: "", Channel: t.Channel, Group: groupOfStorm}
}

// DeliveryID is the id of a notification for its receiver: the same however often it is sent.
func (n Notification) DeliveryID() string {
	identity := fmt.Sprintf("%q %d %d", []string{n.Namespace, n.Policy, n.Channel, n.Group}, n.Seq, n.CreatedAt.UnixMicro())
	hash := sha256.Sum256([]byte(identity))
	return "ntf_" + hex.EncodeToString(hash[:12])
}
