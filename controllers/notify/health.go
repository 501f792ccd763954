package notify

import (
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// slowAfter is how long a send takes that makes its channel a slow one: those have half of
	// the workers together, so that others always find one.
	slowAfter = 2 * time.Second
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
	// shutUntil is when the channel may be sent something again.
	shutUntil time.Time
	failures  int

	delivered, failed time.Time
	// lastErr is the last error, err the same until something is delivered, and isRefused
	// whether that was the receiver's final answer.
	lastErr, err string
	isRefused    bool
	// written is when the status was last written.
	written time.Time
}

// busy are the channels that nothing is claimed of, and how many workers are free.
func (n *Notifier) busy(suspended []types.NamespacedName) (busy []types.NamespacedName, free int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, slow := time.Now(), 0
	free = n.Workers
	busy = suspended
	for channel, health := range n.channels {
		if health.inFlight {
			free--
			if health.isSlow {
				slow++
			}
		}
		if health.inFlight || health.shutUntil.After(now) {
			busy = append(busy, channel)
		}
	}
	if slow < max(n.Workers/2, 1) {
		return busy, free
	}
	for channel, health := range n.channels {
		if health.isSlow && !health.inFlight {
			busy = append(busy, channel)
		}
	}
	return busy, free
}

// begin notes that a channel is being sent something.
func (n *Notifier) begin(channel types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.channels[channel] == nil {
		n.channels[channel] = &health{}
	}
	n.channels[channel].inFlight = true
}

// end notes what came of it.
func (n *Notifier) end(channel types.NamespacedName, kind v1alpha1.ChannelType, took time.Duration, outcome outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	health, now := n.channels[channel], time.Now()
	health.inFlight, health.isSlow = false, took > slowAfter
	if kind == v1alpha1.ChannelSlack {
		health.shutUntil = now.Add(slackPace)
	}
	if outcome.err == nil {
		health.delivered, health.failures, health.err, health.isRefused = now, 0, "", false
		return
	}
	health.failed, health.err, health.isRefused = now, outcome.err.Error(), outcome.isRefused
	health.lastErr = health.err
	if outcome.ofChannel {
		health.failures++
		health.shutUntil = now.Add(outcome.delay)
	}
}

// backoff is the pause after so many failures, with jitter.
func backoff(failures int) time.Duration {
	pause := lastRetry
	if failures < 10 {
		pause = min(firstRetry<<max(failures-1, 0), lastRetry)
	}
	return pause/2 + rand.N(pause/2)
}
