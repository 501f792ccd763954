package notify

import (
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// slowAfter is how long a send takes that makes its channel a slow one. What is slow keeps no
	// worker from others: it is counted apart, up to slowShare times the number of workers.
	slowAfter, slowShare = 500 * time.Millisecond, 4
	// slackPace is how far two messages to Slack are apart: one a second for each channel
	// (docs.slack.dev/apis/web-api/rate-limits).
	slackPace = time.Second
	// firstRetry and lastRetry bound the pause after an attempt that failed.
	firstRetry, lastRetry = 2 * time.Second, 2 * time.Minute
	// giveUpAfter is for how long a notification is tried.
	giveUpAfter = 24 * time.Hour
)

// health is what is known of a channel since this process leads.
type health struct {
	inFlight, isSlow bool
	// began is when what is in flight was begun.
	began time.Time
	// shutUntil is when the channel may be sent something again.
	shutUntil time.Time
	failures  int

	delivered, failed time.Time
	// lastErr is the last error, err the same until something is delivered, and isRefused
	// whether that was the receiver's final answer.
	lastErr, err string
	isRefused    bool
	// generation is that of the channel's spec when it was last tried.
	generation int64
	// written is when the status was last written.
	written time.Time
}

// busy are the channels that nothing is claimed of, and how many workers are free.
//
// generations are those of the channels' specs: one that was corrected is tried at once.
func (n *Notifier) busy(suspended []types.NamespacedName, generations map[types.NamespacedName]int64) (busy []types.NamespacedName, free int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, quick, slow := time.Now(), 0, 0
	for _, health := range n.channels {
		switch {
		case !health.inFlight:
		case health.isSlow || now.Sub(health.began) > slowAfter:
			slow++
		default:
			quick++
		}
	}
	busy = suspended
	for channel, health := range n.channels {
		isShut := health.shutUntil.After(now) && health.generation == generations[channel]
		if health.inFlight || isShut || (health.isSlow && slow >= slowShare*n.Workers) {
			busy = append(busy, channel)
		}
	}
	return busy, min(n.Workers-quick, (1+slowShare)*n.Workers-quick-slow)
}

// begin notes that a channel is being sent something.
func (n *Notifier) begin(channel types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.channels[channel] == nil {
		n.channels[channel] = &health{}
	}
	n.channels[channel].inFlight, n.channels[channel].began = true, time.Now()
}

// idle notes that nothing of a channel is being sent.
func (n *Notifier) idle(channel types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channels[channel].inFlight = false
}

// end notes what came of an attempt, and tells whether another one may follow at once.
func (n *Notifier) end(channel types.NamespacedName, object v1alpha1.NotificationChannel, took time.Duration, outcome outcome) (goOn bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	health, now := n.channels[channel], time.Now()
	isSlack := object.Spec.Type == v1alpha1.ChannelSlack
	health.isSlow, health.generation = took > slowAfter, object.Generation
	if isSlack {
		health.shutUntil = now.Add(slackPace)
	}
	if outcome.err == nil {
		health.delivered, health.failures, health.err, health.isRefused = now, 0, "", false
		return !isSlack && !health.isSlow
	}
	if outcome.isOwn {
		return false // it says nothing of the receiver
	}
	health.failed, health.err, health.isRefused = now, outcome.err.Error(), outcome.isRefused
	health.lastErr = health.err
	if outcome.ofChannel {
		health.failures++
		health.shutUntil = now.Add(max(outcome.after, backoff(health.failures)))
	}
	return false
}

// backoff is the pause after so many failures, with jitter.
func backoff(failures int) time.Duration {
	pause := lastRetry
	if failures < 10 {
		pause = min(firstRetry<<max(failures-1, 0), lastRetry)
	}
	return pause/2 + rand.N(pause/2)
}
