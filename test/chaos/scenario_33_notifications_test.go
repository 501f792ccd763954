package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/receiver"
	"github.com/penstock-cd/penstock/test/world"
)

// mayReachLoopback is where the receivers are.
const mayReachLoopback = "OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32"

// newListeningWorld has a policy that tells of each build that failed by itself, at once, in
// these channels.
func newListeningWorld(t *testing.T, channels ...*v1alpha1.NotificationChannel) *world.World {
	t.Helper()
	w := newWorld(t, samePod, mayReachLoopback)
	policy := given.Policy("each", []v1alpha1.NotificationEvent{v1alpha1.EventBuildFailed})
	for _, channel := range channels {
		channel.Spec.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: 600}
		policy.Spec.Channels = append(policy.Spec.Channels, channel.Name)
		w.Create(channel)
	}
	w.Create(given.CiPipeline(given.CI), given.Grouped(policy, v1alpha1.GroupByNone, 0, time.Minute))
	return w
}

// fails makes a build that has failed.
func fails(w *world.World, name string) {
	w.Create(given.CiBuild(name))
	w.Finish(name, v1alpha1.BuildFailed)
}

// deliveries are the ids of what was posted for each build, in order.
func deliveries(t *testing.T, hook *receiver.Hook) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	for _, post := range hook.Posts() {
		var message notify.Message
		require.NoError(t, json.Unmarshal([]byte(post.Body), &message))
		ids[message.Subject.Build] = append(ids[message.Subject.Build], post.Header.Get("Webhook-Id"))
	}
	return ids
}

// Whenever the process is killed, each build is told at least once, and what is told again has
// the same key: at most once more for each kill, since one delivery is in flight.
func TestAKillBetweenSendingAndRecordingRepeatsOneDelivery(t *testing.T) {
	hook := receiver.NewHook(t)
	w, kills := newListeningWorld(t, given.WebhookChannel("hook", hook.URL())), sized(100, 4)
	points := []failpoint.Name{failpoint.NotifyBeforeRecord, failpoint.NotifyBeforeSend, failpoint.NotifyBeforeCommit, failpoint.NotifyBeforeRecord}
	for kill := range kills {
		controller := breaking(w, fmt.Sprintf("%s=1*kill", points[kill%len(points)]))
		fails(w, fmt.Sprintf("b%d", kill))
		require.True(t, killedWithin(t, controller, world.Patience), "the step is never passed")
	}
	w.Start()
	within(t, world.Patience, "each build is told", func(context.Context) bool { return len(deliveries(t, hook)) == kills })
	within(t, world.Patience, "nothing waits", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM notification WHERE state <> 'Sent'") == 0
	})
	again := 0
	for build, ids := range deliveries(t, hook) {
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 1, "%s was told under two keys", build)
		again += len(ids) - 1
	}
	t.Logf("%d kills, %d deliveries, %d of them repeated", kills, len(hook.Posts()), again)
	require.LessOrEqual(t, again, kills)
	require.Positive(t, again, "no kill came between sending and recording")
	require.Equal(t, kills, w.Count("SELECT count(*) FROM notification"))
	w.Judge()
}

// told has so many builds fail, and returns for how long each waited until the good channel had told
// of it, from its event on, the shortest first.
func told(t *testing.T, w *world.World, prefix string, builds int) []time.Duration {
	t.Helper()
	var began time.Time
	require.NoError(t, w.Database.QueryRow(t.Context(), "SELECT now()").Scan(&began))
	for i := range builds {
		fails(w, fmt.Sprintf("%s-%d", prefix, i))
	}
	var all []time.Duration
	within(t, world.Patience, "the good channel tells all", func(ctx context.Context) bool {
		rows, err := w.Database.Query(ctx, `SELECT extract(epoch FROM sent_at - (items->0->>'at')::timestamptz)::float8
			FROM notification WHERE channel = 'good' AND state = 'Sent' AND sent_at >= $1 ORDER BY 1`, began)
		require.NoError(t, err)
		seconds, err := pgx.CollectRows(rows, pgx.RowTo[float64])
		require.NoError(t, err)
		all = nil
		for _, one := range seconds {
			all = append(all, time.Duration(one*float64(time.Second)))
		}
		return len(all) == builds
	})
	return all
}

// The log also says how long the good channel takes by itself on this machine.
func TestAChannelThatHangsDelaysNoOther(t *testing.T) {
	good := receiver.NewHook(t)
	channels := []*v1alpha1.NotificationChannel{given.WebhookChannel("good", good.URL())}
	const hanging = 10 // more than there are workers
	release := make(chan struct{})
	for i := range hanging {
		hook := receiver.NewHook(t)
		hook.Answer(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		channel := given.WebhookChannel(fmt.Sprintf("hangs-%d", i), hook.URL())
		channel.Spec.Suspend = true
		channels = append(channels, channel)
	}
	defer close(release)
	w := newListeningWorld(t, channels...)
	w.Start("NOTIFICATION_WORKERS=8")
	builds := sized(100, 12)
	alone := told(t, w, "alone", builds)
	for _, channel := range channels[1:] {
		w.Patch(&v1alpha1.NotificationChannel{}, channel.Name, `{"spec":{"suspend":false}}`)
	}
	beside := told(t, w, "beside", builds)
	at := builds * 99 / 100
	t.Logf("the good channel tells after %s, at the slowest after %s; where %d others hang after %s and %s", alone[builds/2], alone[builds-1], hanging, beside[builds/2], beside[builds-1])
	require.Less(t, beside[at], 2*time.Second)
	require.Len(t, deliveries(t, good), 2*builds)
	require.Equal(t, 2*hanging*builds, w.Count("SELECT count(*) FROM notification WHERE channel LIKE 'hangs-%' AND state = 'Waiting'"))
	w.Judge()
}

func TestAReceiverThatIsAwayLosesNothingAndAStormIsADigest(t *testing.T) {
	hook := receiver.NewHook(t)
	hook.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	w := newListeningWorld(t, given.WebhookChannel("hook", hook.URL()))
	w.Patch(&v1alpha1.NotificationChannel{}, "hook", `{"spec":{"rateLimit":{"perMinute":10}}}`)
	w.Start()
	builds := sized(200, 40)
	for i := range builds {
		fails(w, fmt.Sprintf("b%d", i))
	}
	within(t, world.Patience, "all are noted", func(context.Context) bool {
		return w.Count("SELECT COALESCE(sum(events), 0) FROM notification") == builds
	})
	hook.Answer(nil)
	within(t, 3*time.Minute, "all is told", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM notification WHERE state <> 'Sent'") == 0
	})
	require.Equal(t, builds, w.Count("SELECT sum(events) FROM notification"))
	storms := 0
	for _, post := range hook.Posts() {
		var message notify.Message
		require.NoError(t, json.Unmarshal([]byte(post.Body), &message))
		if strings.HasPrefix(message.Title, "too much to tell one by one: ") {
			storms++
		}
	}
	require.Positive(t, storms)
	w.Judge()
}
