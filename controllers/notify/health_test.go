package notify

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	sending "github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/test/loopback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newNotifier(t *testing.T, workers int) *Notifier {
	t.Helper()
	n, err := New(Config{Guard: loopback.Guard(), Workers: workers})
	require.NoError(t, err)
	t.Cleanup(n.client.Close)
	return n
}

func name(channel string, number int) types.NamespacedName {
	return types.NamespacedName{Namespace: "team", Name: fmt.Sprintf("%s-%d", channel, number)}
}

func TestWhatIsSlowKeepsNoWorkerFromOthers(t *testing.T) {
	t.Parallel()
	n := newNotifier(t, 4)
	for i := range 4 {
		n.begin(name("new", i))
	}
	_, free := n.busy(nil, nil)
	require.Zero(t, free)
	for i := range 4 {
		n.channels[name("new", i)].began = time.Now().Add(-2 * slowAfter)
	}
	busy, free := n.busy(nil, nil)
	require.Equal(t, 4, free, "they hang, and count apart")
	require.Len(t, busy, 4)

	for i := range slowShare * 4 {
		n.begin(name("slow", i))
		n.channels[name("slow", i)].isSlow = true
	}
	n.channels[name("idle", 1)] = &health{isSlow: true}
	busy, free = n.busy(nil, nil)
	require.LessOrEqual(t, free, 0, "the pool is bounded")
	require.Contains(t, busy, name("idle", 1), "another slow one waits")
}

func TestWhatBecomesOfAChannelAfterAnAttempt(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		kind   v1alpha1.ChannelType
		took   time.Duration
		err    error
		goesOn bool
		shut   time.Duration
	}{
		"what took it is sent more":            {v1alpha1.ChannelWebhook, time.Millisecond, nil, true, 0},
		"Slack takes one message in a second":  {v1alpha1.ChannelSlack, time.Millisecond, nil, false, slackPace},
		"what is slow waits for others":        {v1alpha1.ChannelWebhook, 2 * slowAfter, nil, false, 0},
		"what says when is asked then":         {v1alpha1.ChannelWebhook, time.Millisecond, sending.Later(time.Hour, "busy"), false, time.Hour},
		"what fails is asked a little later":   {v1alpha1.ChannelWebhook, time.Millisecond, errors.New("cut"), false, firstRetry},
		"what refuses one may take the others": {v1alpha1.ChannelWebhook, time.Millisecond, sending.Refuse("no"), false, 0},
	} {
		n := newNotifier(t, 4)
		n.begin(name("c", 1))
		result := n.judge(route.Notification{Attempts: 1}, test.err)
		require.Equal(t, test.goesOn, n.end(name("c", 1), v1alpha1.NotificationChannel{Spec: v1alpha1.NotificationChannelSpec{Type: test.kind}}, test.took, result), sentence)
		n.idle(name("c", 1))
		require.False(t, n.channels[name("c", 1)].inFlight)
		until := max(time.Until(n.channels[name("c", 1)].shutUntil), 0)
		require.LessOrEqual(t, until, test.shut, sentence)
		require.Greater(t, until, test.shut/2-100*time.Millisecond, sentence)
	}
}

func TestAChannelThatFailsIsAskedSeldomWhateverWaits(t *testing.T) {
	t.Parallel()
	n := newNotifier(t, 4)
	for range 20 {
		n.begin(name("c", 1))
		n.end(name("c", 1), v1alpha1.NotificationChannel{}, 0, n.judge(route.Notification{Attempts: 1}, errors.New("cut"))) // each time another one
		n.idle(name("c", 1))
	}
	require.Greater(t, time.Until(n.channels[name("c", 1)].shutUntil), lastRetry/2-time.Second)
	busy, _ := n.busy(nil, map[types.NamespacedName]int64{name("c", 1): 0})
	require.Contains(t, busy, name("c", 1))
	busy, _ = n.busy(nil, map[types.NamespacedName]int64{name("c", 1): 1})
	require.NotContains(t, busy, name("c", 1), "a spec that was changed is tried at once")
}

func TestAnAttemptIsJudged(t *testing.T) {
	t.Parallel()
	n := newNotifier(t, 4)
	tried := func(since time.Duration) route.Notification {
		return route.Notification{Attempts: minAttempts + 1, TriedSince: time.Now().Add(-since)}
	}
	require.Equal(t, route.Sent, deliveryOf(tried(0), n.judge(tried(0), nil)).State)
	require.Equal(t, route.GivenUp, deliveryOf(tried(0), n.judge(tried(0), sending.Refuse("no"))).State)
	require.Equal(t, route.Waiting, deliveryOf(tried(0), n.judge(tried(0), errors.New("cut"))).State)
	require.Equal(t, route.Waiting, deliveryOf(tried(23*time.Hour), n.judge(tried(23*time.Hour), errors.New("cut"))).State)
	given := deliveryOf(tried(25*time.Hour), n.judge(tried(25*time.Hour), sending.Later(time.Minute, "busy")))
	require.Equal(t, route.GivenUp, given.State)
	require.Contains(t, given.Error, "given up after 24h")
	young := route.Notification{Attempts: 1, TriedSince: time.Now().Add(-25 * time.Hour)}
	require.Equal(t, route.Waiting, deliveryOf(young, n.judge(young, errors.New("cut"))).State, "nobody has tried meanwhile")
	own := n.judge(tried(25*time.Hour), &ownError{"the database did not answer"})
	require.Equal(t, route.Waiting, deliveryOf(tried(0), own).State, "what is no fault of the receiver is never given up")
	n.begin(name("c", 1))
	n.end(name("c", 1), v1alpha1.NotificationChannel{}, 0, own)
	require.Empty(t, n.channels[name("c", 1)].err)
	require.True(t, n.channels[name("c", 1)].shutUntil.IsZero())
	for failures := range 40 {
		pause := backoff(failures)
		require.Positive(t, pause)
		require.LessOrEqual(t, pause, lastRetry)
	}
}
