package route_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func target(change func(*route.Target)) route.Target {
	target := route.Target{
		Namespace: "team", Policy: "p", Channel: "c", Type: v1alpha1.ChannelSlack, Updates: true, By: v1alpha1.GroupByBuild,
		Wait: 10 * time.Second, Interval: 5 * time.Minute, PerMinute: 30, TellsRecovery: true,
	}
	if change != nil {
		change(&target)
	}
	return target
}

func run(event v1alpha1.NotificationEvent, pipeline string) route.Item {
	return route.Item{Type: event, Namespace: "team", Build: "shop-1", BuildUID: "u1", Pipeline: pipeline, Application: "shop", Environment: "prod", Reason: "WorkflowFailed", Run: 1}
}

var completed = route.Item{Type: v1alpha1.EventTriggersCompleted, Namespace: "team", Build: "shop-1", BuildUID: "u1", Application: "shop"}

func cluster(event v1alpha1.NotificationEvent) route.Item {
	return route.Item{Type: event, Cluster: "edge", Reason: "Timeout"}
}

// step is an event at a second, or the sending of what is due then.
type step struct {
	at   int
	item route.Item
	sent bool
}

func add(at int, item route.Item) step { return step{at: at, item: item} }
func sent(at int) step                 { return step{at: at, sent: true} }

// play returns the notifications of one group after the steps: "seq: version due in seconds".
func play(t *testing.T, target route.Target, begins bool, steps []step) (all []string, last *route.Notification) {
	t.Helper()
	var notifications []route.Notification
	for _, step := range steps {
		now := start.Add(time.Duration(step.at) * time.Second)
		if step.sent {
			require.False(t, last.DueAt.After(now) || last.DueAt.IsZero(), "nothing is due at %d", step.at)
			last.Sent, last.SentAt, last.State, last.DueAt = last.Wanted, now, route.Sent, time.Time{}
			continue
		}
		step.item.At = now
		next, isTold := target.Add(last, step.item, begins, now)
		if !isTold {
			continue
		}
		if last == nil || next.Seq != last.Seq {
			notifications = append(notifications, next)
		}
		last = &notifications[len(notifications)-1]
		*last = next
	}
	for _, n := range notifications {
		due := "not due"
		if !n.DueAt.IsZero() {
			due = fmt.Sprintf("due at %d", int(n.DueAt.Sub(start).Seconds()))
		}
		all = append(all, fmt.Sprintf("%d: version %d %s, %d events, %s", n.Seq, n.Wanted, due, n.Events, n.State))
	}
	return all, last
}

func TestWhenAGroupIsTold(t *testing.T) {
	t.Parallel()
	failed, succeeded, held := run(v1alpha1.EventRunFailed, "web"), run(v1alpha1.EventRunSucceeded, "api"), run(v1alpha1.EventRunHeld, "web")
	cannotUpdate := target(func(t *route.Target) { t.Type, t.Updates = v1alpha1.ChannelEmail, false })
	each := target(func(t *route.Target) { t.By = v1alpha1.GroupByNone })
	status := target(func(t *route.Target) { t.Type, t.Updates = v1alpha1.ChannelCommitStatus, false })
	silent := target(func(t *route.Target) { t.TellsRecovery = false })
	down, well := cluster(v1alpha1.EventClusterUnreachable), cluster(v1alpha1.EventClusterRecovered)
	for sentence, test := range map[string]struct {
		target route.Target
		steps  []step
		want   []string
	}{
		"the first failure of a build is told soon where it can be changed": {target(nil), []step{add(0, failed), add(3, failed)},
			[]string{"1: version 1 due at 10, 2 events, Waiting"}},
		"further failures are told after the interval": {target(nil), []step{add(0, failed), sent(10), add(11, failed), add(12, failed)},
			[]string{"1: version 2 due at 310, 3 events, Waiting"}},
		"what is complete is told at once": {target(nil), []step{add(0, failed), sent(10), add(11, failed), add(20, completed)},
			[]string{"1: version 2 due at 20, 3 events, Waiting"}},
		"a retry that succeeds is told where the failure was": {target(nil), []step{add(0, failed), add(5, completed), sent(5), add(90, succeeded), add(90, completed)},
			[]string{"1: version 2 due at 90, 4 events, Waiting"}},
		"a failure is told when all is done where it can't be changed": {cannotUpdate, []step{add(0, failed), add(60, completed)},
			[]string{"1: version 1 due at 60, 2 events, Waiting"}},
		"or after the interval": {cannotUpdate, []step{add(0, failed)},
			[]string{"1: version 1 due at 300, 1 events, Waiting"}},
		"what waits for a person is told soon in every channel": {cannotUpdate, []step{add(0, succeeded), add(1, held)},
			[]string{"1: version 1 due at 11, 2 events, Waiting"}},
		"that all is done is told once, in however many batches it was read": {target(nil), []step{add(0, failed), add(5, completed), sent(5), add(5, completed)},
			[]string{"1: version 1 not due, 2 events, Sent"}},
		"the status of a commit is set at once, each time": {status, []step{add(0, held), sent(0), add(0, succeeded)},
			[]string{"1: version 2 due at 1, 2 events, Waiting"}},
		"equal failures are counted, and told again when the interval ends": {each, []step{add(0, failed), sent(10), add(20, failed), add(30, failed)},
			[]string{"1: version 2 due at 300, 3 events, Waiting"}},
		"after the interval a failure is told anew": {each, []step{add(0, failed), sent(10), add(301, failed)},
			[]string{"1: version 1 not due, 1 events, Sent", "2: version 1 due at 311, 1 events, Waiting"}},
		"a cluster that is down is told once, and then that it is well": {target(nil), []step{add(0, down), sent(10), add(100, well)},
			[]string{"1: version 2 due at 100, 2 events, Waiting"}},
		"a cluster that is well before that was told is not told": {target(nil), []step{add(0, down), add(5, well)},
			[]string{"1: version 1 not due, 2 events, Skipped"}},
		"a second outage is a second group": {target(nil), []step{add(0, down), sent(10), add(100, well), sent(100), add(200, down)},
			[]string{"1: version 2 not due, 2 events, Sent", "2: version 1 due at 210, 1 events, Waiting"}},
		"a recovery that nobody wants to know ends the group": {silent, []step{add(0, down), sent(10), add(100, well), add(110, down)},
			[]string{"1: version 1 not due, 2 events, Sent", "2: version 1 due at 120, 1 events, Waiting"}},
		"a recovery alone is not told": {target(nil), []step{add(0, well)}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			all, _ := play(t, test.target, true, test.steps)
			require.Equal(t, test.want, all)
		})
	}
}

func TestWhatThePolicyDoesNotTellOnlyEndsWhatIsTold(t *testing.T) {
	t.Parallel()
	_, isTold := target(nil).Add(nil, completed, false, start)
	require.False(t, isTold)
	failed, _ := target(nil).Add(nil, run(v1alpha1.EventRunFailed, "web"), true, start)
	done, isTold := target(nil).Add(&failed, completed, false, start.Add(time.Second))
	require.True(t, isTold)
	require.True(t, done.IsComplete)
}

func TestWhatIsBeingSentIsNeitherChangedNorHurried(t *testing.T) {
	t.Parallel()
	n, _ := target(nil).Add(nil, run(v1alpha1.EventRunFailed, "web"), true, start)
	n.Attempts, n.InFlight = 1, true
	n, _ = target(nil).Add(&n, run(v1alpha1.EventRunFailed, "api"), true, start.Add(11*time.Second))
	require.EqualValues(t, 2, n.Wanted, "the version that is being sent says less")
	require.Equal(t, start.Add(11*time.Second+5*time.Minute), n.DueAt)

	t.Run("a receiver that said when is not asked before", func(t *testing.T) {
		t.Parallel()
		n, _ := target(nil).Add(nil, run(v1alpha1.EventRunFailed, "web"), true, start)
		n.Attempts, n.DueAt = 1, start.Add(time.Hour)
		n, _ = target(nil).Add(&n, completed, false, start.Add(time.Minute))
		require.Equal(t, start.Add(time.Hour), n.DueAt)
		require.EqualValues(t, 2, n.Wanted)
	})
}

func TestWhatWasGivenUpIsTriedAnewWhenMoreHappens(t *testing.T) {
	t.Parallel()
	n, _ := target(nil).Add(nil, run(v1alpha1.EventRunFailed, "web"), true, start)
	n.State, n.Attempts, n.DueAt = route.GivenUp, 3, time.Time{}
	n, _ = target(nil).Add(&n, completed, false, start.Add(time.Minute))
	require.Equal(t, route.Waiting, n.State)
	require.Equal(t, start.Add(time.Minute), n.DueAt)
}

func TestAStormIsOneDigestForEachMinute(t *testing.T) {
	t.Parallel()
	target := target(nil)
	n := target.Storm(nil, run(v1alpha1.EventRunFailed, "web"), start)
	for i := range 100 {
		n = target.Storm(&n, run(v1alpha1.EventRunFailed, fmt.Sprintf("p-%d", i)), start.Add(30*time.Second))
	}
	require.EqualValues(t, 101, n.Events)
	require.Len(t, n.Items, route.MaxItems)
	require.Equal(t, start.Add(time.Minute), n.DueAt)
	require.EqualValues(t, 1, n.Wanted)
	next := target.Storm(&n, run(v1alpha1.EventRunFailed, "web"), start.Add(61*time.Second))
	require.EqualValues(t, 2, next.Seq)
	require.EqualValues(t, 1, next.Events)
}

func TestADeliveryHasOneIDWhateverItsVersion(t *testing.T) {
	t.Parallel()
	n, _ := target(nil).Add(nil, run(v1alpha1.EventRunFailed, "web"), true, start)
	n.CreatedAt = start
	again := n
	again.Wanted, again.Events = 2, 9
	require.Equal(t, n.DeliveryID(), again.DeliveryID())
	other := n
	other.Seq = 2
	require.NotEqual(t, n.DeliveryID(), other.DeliveryID())
}

func TestWhatAnEventIsToPeople(t *testing.T) {
	t.Parallel()
	for row, want := range map[[4]string]v1alpha1.NotificationEvent{
		{"Build", "", "Succeeded", ""}:                       v1alpha1.EventBuildSucceeded,
		{"Build", "", "Cancelled", ""}:                       v1alpha1.EventBuildFailed,
		{"Build", "", "Cancelled", "Cancelled"}:              v1alpha1.EventBuildFailed,
		{"Build", "", "Cancelled", "Superseded"}:             "",
		{"Build", "", "Cancelled", "Replaced"}:               "",
		{"Task", "BUILD", "Held", "Template"}:                "",
		{"Run", "", "Error", ""}:                             v1alpha1.EventRunFailed,
		{"Run", "", "Superseded", ""}:                        v1alpha1.EventRunCancelled,
		{"Run", "", "Reopened", ""}:                          "",
		{"Task", "", "Held", "Person"}:                       v1alpha1.EventRunHeld,
		{"Task", "", "Held", "StageBefore"}:                  "",
		{"Task", "", "Held", "Turn"}:                         "",
		{"Task", "", "Pending", "QuotaExceeded"}:             v1alpha1.EventRunDelayed,
		{"Task", "", "Pending", ""}:                          "",
		{"Task", "", "Submitted", "NotTakenUp"}:              v1alpha1.EventRunDelayed,
		{"Task", "", "Running", ""}:                          "",
		{"Cluster", "", "Unauthorized", "Unauthorized"}:      v1alpha1.EventClusterUnreachable,
		{"Wave", "", "Stopped", ""}:                          v1alpha1.EventWaveStopped,
		{"Wave", "", "Failed", ""}:                           v1alpha1.EventWaveFinished,
		{"Wave", "", "Running", ""}:                          "",
		{"Cluster", "", "Healthy", ""}:                       v1alpha1.EventClusterRecovered,
		{"Cluster", "", "Degraded", "NotReady"}:              "",
		{"Decision", "", "Skipped", "FilteredOut"}:           "",
		{"Request", "", "Refused", "Trigger"}:                "",
		{"SomethingOfALaterVersion", "", "Whatever", "Else"}: "",
	} {
		got, isTold := route.TypeOf(row[0], row[1], row[2], row[3])
		require.Equal(t, want, got, row)
		require.Equal(t, want != "", isTold, row)
	}
}

func TestATargetIsWhatPolicyAndChannelSayOrTheDefaults(t *testing.T) {
	t.Parallel()
	policy := &v1alpha1.NotificationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"}}
	want := route.Target{Namespace: "team", Policy: "p", Channel: "c", By: v1alpha1.GroupByBuild, Wait: 10 * time.Second, Interval: 5 * time.Minute, PerMinute: 30}
	require.Equal(t, want, route.NewTarget(policy, "c", v1alpha1.NotificationChannelSpec{}), "a channel that does not exist yet")

	policy.Spec = v1alpha1.NotificationPolicySpec{
		On:    []v1alpha1.NotificationEvent{v1alpha1.EventClusterRecovered},
		Group: v1alpha1.NotificationGroup{By: v1alpha1.GroupByNone, Wait: &metav1.Duration{}, Interval: &metav1.Duration{Duration: time.Hour}},
	}
	want.By, want.Wait, want.Interval, want.TellsRecovery = v1alpha1.GroupByNone, 0, time.Hour, true
	want.Type, want.Updates, want.PerMinute = v1alpha1.ChannelSlack, true, 7
	require.Equal(t, want, route.NewTarget(policy, "c", v1alpha1.NotificationChannelSpec{
		Type: v1alpha1.ChannelSlack, Slack: &v1alpha1.SlackChannel{}, RateLimit: &v1alpha1.ChannelRateLimit{PerMinute: 7},
	}))
}
