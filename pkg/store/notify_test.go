package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// listener tells every event by itself, and remembers them.
type listener struct {
	mu    sync.Mutex
	heard []string
	items []route.Item
}

var channel = route.Target{Namespace: given.Namespace, Policy: "p", Channel: "c", By: v1alpha1.GroupByBuild, Interval: time.Hour, PerMinute: 30}

func (l *listener) Groups(told store.Told) (keys []route.Key) {
	for _, item := range told.Items {
		keys = append(keys, channel.Key(item))
	}
	return keys
}

func (l *listener) Fold(told store.Told, known map[route.Key]*route.Notification, _ map[types.NamespacedName]int) []route.Notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := map[route.Key]route.Notification{}
	for _, item := range told.Items {
		l.items = append(l.items, item)
		l.heard = append(l.heard, fmt.Sprintf("%s %s %s", item.Type, item.Build, item.Pipeline))
		next, isTold := channel.Add(known[channel.Key(item)], item, true, told.Now)
		if isTold {
			known[next.Key], changed[next.Key] = &next, next
		}
	}
	var all []route.Notification
	for _, n := range changed {
		all = append(all, n)
	}
	return all
}

// untold counts the events after the cursor.
const untold = "event e, notification_cursor c WHERE (e.xid, e.id) > (c.xid, c.id) AND e.id > c.floor_id"

// listen has everything told that there is, in batches of so many. Transactions of other tests
// may hold events back for a moment.
func listen(t testing.TB, s *store.Store, l *listener, most int) []string {
	t.Helper()
	before := len(l.heard)
	require.Eventually(t, func() bool {
		for more := true; more; {
			var err error
			more, err = s.TellEvents(t.Context(), most, l)
			require.NoError(t, err)
		}
		return count(t, s, untold) == 0
	}, time.Minute, 10*time.Millisecond)
	return l.heard[before:]
}

// young is a build that was created just now.
func young(name string) store.MirroredBuild {
	return store.MirroredBuild{UID: "uid-" + name, Namespace: given.Namespace, Name: name, CiPipeline: given.CI, Revision: "main", Phase: "Running", CreatedAt: time.Now()}
}

func TestEachEventIsToldOnce(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	family := given.FamilyOf(given.CdPipeline("web", unordered), given.CdPipeline("api", unordered))
	planned(t, s, "b1", family)
	require.Empty(t, listen(t, s, l, 10), "nothing that people are told of")

	endActive(t, s, store.StatusFailed)
	followAll(t, s, family)
	for _, size := range []int{1, 3} { // a batch ends in the middle of a transaction
		planned(t, s, fmt.Sprintf("next-%d", size), family)
		endActive(t, s, store.StatusSucceeded)
		followAll(t, s, family)
	}
	require.ElementsMatch(t, []string{
		"RunFailed b1 web", "RunFailed b1 api", "TriggersCompleted b1 ",
		"RunSucceeded next-1 web", "RunSucceeded next-1 api", "TriggersCompleted next-1 ",
		"RunSucceeded next-3 web", "RunSucceeded next-3 api", "TriggersCompleted next-3 ",
	}, listen(t, s, l, 1))
	require.Empty(t, listen(t, s, l, 7))
	for _, item := range l.items {
		if item.Type == v1alpha1.EventRunFailed {
			require.Equal(t, "DEPLOY", item.Stage)
			require.NotEmpty(t, item.Image)
			require.Equal(t, given.CI, item.CiPipeline)
		}
	}
	require.Equal(t, []string{"b1 3 Waiting true", "next-1 3 Waiting true", "next-3 3 Waiting true"},
		table(t, s, "SELECT items->0->>'build', events, state, is_complete FROM notification ORDER BY 1"))
}

func TestARunInAnotherClusterIsToldWithItsName(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	family := given.FamilyOf(given.CdPipeline("far", given.RunsIn("eu-1")), given.CdPipeline("here"))
	planned(t, s, "b1", family)
	_, err := s.OpenLane(t.Context(), "eu-1", "uid-eu-1", "uid-home")
	require.NoError(t, err)
	endActive(t, s, store.StatusSucceeded)
	there := s.In("eu-1", "uid-eu-1")
	claims, err := there.Claim(t.Context(), store.Lane{Kind: store.KindCd, Cluster: "eu-1"}, "w", 10, lease)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	endActive(t, there, store.StatusSucceeded)
	followAll(t, s, family)
	listen(t, s, l, 10)
	clusters := map[string]string{}
	for _, item := range l.items {
		require.Empty(t, item.Cluster, "it is not the health of a cluster")
		if item.Type == v1alpha1.EventRunSucceeded {
			clusters[item.Pipeline] = item.RunCluster
		}
	}
	require.Equal(t, map[string]string{"far": "eu-1", "here": ""}, clusters)
}

func TestABuildThatEndsIsAnEventWhoeverNotesItFirst(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	listen(t, s, l, 10)
	mirror := func(build store.MirroredBuild, phase string) {
		build.Phase = phase
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
	}
	mirror(young("mirrored"), "Running")
	mirror(young("mirrored"), "Failed")
	mirror(young("mirrored"), "Failed")
	mirror(young("first-seen-at-its-end"), "Cancelled")
	old := young("old")
	old.CreatedAt = time.Now().Add(-48 * time.Hour)
	mirror(old, "Succeeded")
	mirror(young("planned"), "Running")
	build := given.Build("planned")
	build.UID, build.CreatedAt = "uid-planned", time.Now()
	plannedBuild(t, s, build, given.Artifacts(1), given.FamilyOf(given.CdPipeline("web", unordered)))
	mirror(young("planned"), "Succeeded")
	require.Equal(t, []string{"BuildFailed mirrored ", "BuildFailed first-seen-at-its-end ", "BuildSucceeded planned "}, listen(t, s, l, 100))
	require.Equal(t, "Cancelled", l.items[1].Reason)
}

func TestClustersAreEventsAsWell(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	listen(t, s, l, 10)
	change := store.ClusterEvent{UID: "u", Cluster: "edge", Phase: "Unreachable", Reason: "Timeout", Message: "no answer", At: time.Now()}
	require.NoError(t, s.RecordClusterEvents(t.Context(), []store.ClusterEvent{change}))
	require.NoError(t, s.RecordClusterEvents(t.Context(), []store.ClusterEvent{change}))
	require.Equal(t, []string{"ClusterUnreachable  "}, listen(t, s, l, 10))
	require.Equal(t, "edge", l.items[0].Cluster)
}

func TestWhatEndsATellingTellsNothingTwiceAndLosesNothing(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	listen(t, s, l, 10)
	for i := range 40 {
		build := young(fmt.Sprintf("b-%d", i))
		build.Phase = "Failed"
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
	}
	broken, end := context.WithCancel(t.Context())
	require.Eventually(t, func() bool {
		_, err := s.TellEvents(broken, 10, breaking{l, end})
		return err != nil
	}, 20*time.Second, 10*time.Millisecond)
	require.Zero(t, count(t, s, "notification"))
	l.heard = nil
	// Two leaders at once.
	var both errgroup.Group
	for range 2 {
		both.Go(func() error {
			for more := true; more; {
				var err error
				if more, err = s.TellEvents(t.Context(), 7, l); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, both.Wait())
	listen(t, s, l, 7)
	require.Len(t, l.heard, 40)
	require.Equal(t, 40, count(t, s, "notification"))
}

// breaking ends the context when it has decided.
type breaking struct {
	*listener
	end func()
}

func (b breaking) Fold(told store.Told, known map[route.Key]*route.Notification, begun map[types.NamespacedName]int) []route.Notification {
	defer b.end()
	return b.listener.Fold(told, known, begun)
}

func TestARestoredDumpTellsWhatWasNotToldAndNothingAgain(t *testing.T) {
	t.Parallel()
	for sentence, from := range map[string]string{"from a server with another identifier": "another", "from one that told none": ""} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			restore(t, from)
		})
	}
}

func restore(t *testing.T, from string) {
	t.Helper()
	s, l := newStore(t), &listener{}
	listen(t, s, l, 10)
	failed := func(names ...string) {
		for _, name := range names {
			build := young(name)
			build.Phase = "Failed"
			require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
		}
	}
	failed("told-1", "told-2")
	listen(t, s, l, 10)
	failed("untold-1", "untold-2", "untold-3")
	// As in another server: its transaction ids are far below those of the rows.
	execute(t, s, "UPDATE notification_cursor SET server = $1, xid = '99999999999'", from)
	execute(t, s, "UPDATE event SET xid = '99999999999'")
	require.Equal(t, []string{"BuildFailed untold-1 ", "BuildFailed untold-2 ", "BuildFailed untold-3 "}, listen(t, s, l, 2))
	failed("after")
	require.Equal(t, []string{"BuildFailed after "}, listen(t, s, l, 2))
	require.Empty(t, listen(t, s, l, 2))
	// Years later its transaction ids come to those of the old rows.
	execute(t, s, "UPDATE event SET xid = pg_current_xact_id() WHERE xid = '99999999999'")
	require.Empty(t, listen(t, s, l, 2), "they were told before")
	failed("years-later")
	require.Equal(t, []string{"BuildFailed years-later "}, listen(t, s, l, 2))
}

func TestWhatIsLeftOutIsNeverTold(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	failed := func(name string) {
		build := young(name)
		build.Phase = "Failed"
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
	}
	_, err := s.TellEvents(t.Context(), 10, l) // makes the cursor
	require.NoError(t, err)
	failed("unheard")
	var horizon store.Horizon
	require.Eventually(t, func() bool {
		var err error
		horizon, err = s.SkipEvents(t.Context(), horizon)
		require.NoError(t, err)
		return count(t, s, untold) == 0
	}, 20*time.Second, 10*time.Millisecond)
	failed("since then")
	_, err = s.SkipEvents(t.Context(), horizon)
	require.NoError(t, err)
	require.Equal(t, []string{"BuildFailed since then "}, listen(t, s, l, 10))
	_, err = s.SkipEvents(t.Context(), horizon)
	require.NoError(t, err)
	require.Empty(t, listen(t, s, l, 10), "the cursor never goes back")
}

// notified makes a notification that is due in each channel.
func notified(t testing.TB, s *store.Store, channels ...string) {
	t.Helper()
	for i, name := range channels {
		_, err := s.TestChannel(t.Context(), given.Namespace, name, fmt.Sprint(name, i))
		require.NoError(t, err)
	}
}

func claimNotifications(t testing.TB, s *store.Store, worker string, busy ...string) []route.Notification {
	t.Helper()
	var names []types.NamespacedName
	for _, name := range busy {
		names = append(names, types.NamespacedName{Namespace: given.Namespace, Name: name})
	}
	claimed, err := s.ClaimNotifications(t.Context(), worker, time.Minute, names, 10)
	require.NoError(t, err)
	return claimed
}

func TestOneNotificationOfEachChannelIsClaimed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	notified(t, s, "a", "a", "b", "busy")
	var got []string
	for _, n := range claimNotifications(t, s, "w", "busy") {
		got = append(got, n.Channel)
	}
	require.ElementsMatch(t, []string{"a", "b"}, got)
	require.Empty(t, claimNotifications(t, s, "w", "a", "b", "busy"))
	require.Len(t, claimNotifications(t, s, "w"), 2, "the second of a, and busy")
}

func TestAClaimEndsByItsLeaseOrWithItsProcess(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	notified(t, s, "a")
	first := claimNotifications(t, s, "w")[0]
	require.Empty(t, claimNotifications(t, s, "other"))
	execute(t, s, "UPDATE notification SET lease_until = now() - interval '1 s'")
	second := claimNotifications(t, s, "other")[0]
	require.Equal(t, first.DeliveryID(), second.DeliveryID())
	// The first comes late: what it says does not count.
	require.NoError(t, s.RecordDelivery(t.Context(), "w", store.Delivery{Notification: first, State: route.Sent}))
	require.Equal(t, []string{"Waiting other"}, table(t, s, "SELECT state, claimed_by FROM notification"))
	require.NoError(t, s.ReleaseNotifications(t.Context(), "other"))
	third := claimNotifications(t, s, "other")[0]
	require.NoError(t, s.RecordDelivery(t.Context(), "other", store.Delivery{Notification: second, State: route.Sent}), "by the process before")
	require.Equal(t, []string{"Waiting"}, table(t, s, "SELECT state FROM notification"))
	require.NoError(t, s.RecordDelivery(t.Context(), "other", store.Delivery{Notification: third, State: route.Sent, Reference: "C1:1"}))
	require.Equal(t, []string{"Sent C1:1 1 true"}, table(t, s, "SELECT state, reference, sent, due_at IS NULL FROM notification"))
}

func TestWhatBecomesOfAnAttempt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	notified(t, s, "a", "a", "b")
	n := claimNotifications(t, s, "w", "b")[0]
	require.NoError(t, s.RecordDelivery(t.Context(), "w", store.Delivery{Notification: n, State: route.Waiting, Delay: time.Hour, Error: "503"}))
	require.Equal(t, []string{"a 1 503 true", "a 0  false", "b 0  false"},
		table(t, s, "SELECT channel, attempts, error, due_at > now() + interval '59 minutes' FROM notification ORDER BY id"))
	counts, err := s.ChannelCounts(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, counts[types.NamespacedName{Namespace: given.Namespace, Name: "a"}].Waiting)

	refused := claimNotifications(t, s, "w", "a")[0]
	require.Equal(t, "b", refused.Channel)
	require.NoError(t, s.RecordDelivery(t.Context(), "w", store.Delivery{Notification: refused, State: route.GivenUp, Error: "404"}))
	require.Empty(t, claimNotifications(t, s, "w", "a"))
	counts, err = s.ChannelCounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.ChannelCount{Dropped: 1}, counts[types.NamespacedName{Namespace: given.Namespace, Name: "b"}])

	require.NoError(t, s.ResendNotification(t.Context(), given.Namespace, refused.ID, time.Time{}))
	require.Equal(t, refused.DeliveryID(), claimNotifications(t, s, "w", "a")[0].DeliveryID())
	require.ErrorIs(t, s.ResendNotification(t.Context(), "another", refused.ID, time.Time{}), store.ErrNoNotification)
}

func TestWhatIsAddedWhileAVersionIsSentStaysDue(t *testing.T) {
	t.Parallel()
	s, l := newStore(t), &listener{}
	listen(t, s, l, 10)
	build := young("b")
	build.Phase = "Failed"
	require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
	listen(t, s, l, 10)
	execute(t, s, "UPDATE notification SET due_at = now()")
	n := claimNotifications(t, s, "w")[0]
	execute(t, s, "INSERT INTO event (kind, namespace, build_name, state) VALUES ('Build', $1, 'b', 'Cancelled')", given.Namespace)
	listen(t, s, l, 10)
	require.NoError(t, s.RecordDelivery(t.Context(), "w", store.Delivery{Notification: n, State: route.Sent, Reference: "r"}))
	require.Equal(t, []string{"Waiting 1 2 true r"}, table(t, s, "SELECT state, sent, wanted, due_at > now(), reference FROM notification"))
}

func TestOldNotificationsArePruned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	notified(t, s, "due", "old", "young")
	execute(t, s, "UPDATE notification SET due_at = NULL WHERE channel <> 'due'")
	execute(t, s, "UPDATE notification SET changed_at = now() - interval '91 days' WHERE channel <> 'young'")
	page, err := s.Prune(t.Context(), store.HistoryTold, 0, 90*24*time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 1, page.Deleted)
	require.Equal(t, []string{"due", "young"}, table(t, s, "SELECT channel FROM notification ORDER BY channel"))
}

func TestWhoWatchesOtherNamespacesGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 4}
	watching := func(namespaces ...string) *store.Store {
		config.Namespaces = namespaces
		return openStore(t, config)
	}
	a, ab, all := watching("a"), watching("a", "b"), watching()
	failed := func(name string) {
		execute(t, all, "INSERT INTO event (kind, namespace, build_name, state) VALUES ('Build', 'a', $1, 'Failed')", name)
	}
	l := &listener{}
	failed("first")
	require.Equal(t, []string{"BuildFailed first "}, listen(t, a, l, 10))
	failed("second")
	require.Equal(t, []string{"BuildFailed second "}, listen(t, ab, l, 10))
	require.Empty(t, listen(t, a, l, 10), "it was told meanwhile")
	failed("third")
	require.Equal(t, []string{"BuildFailed third "}, listen(t, all, l, 10))
	require.Equal(t, []string{""}, table(t, all, "SELECT watched FROM notification_cursor"))
	require.Empty(t, listen(t, a, l, 10))
}
