package notify

import (
	"bytes"
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	sending "github.com/penstock-cd/penstock/pkg/notify"
)

// secretAge is for how long what a Secret held is used again: in a burst of messages, reading it
// for each would take a token of the API server's rate from a trigger.
const secretAge = 5 * time.Second

// secrets remembers what Secrets held a moment ago. It is for concurrent use.
type secrets struct {
	mu   sync.Mutex
	read map[types.NamespacedName]readSecret
}

type readSecret struct {
	data secretData
	at   time.Time
}

// recent returns what a Secret held, unless it was read too long ago.
func (s *secrets) recent(key types.NamespacedName, now time.Time) (secretData, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read, found := s.read[key]
	return read.data, found && now.Sub(read.at) < secretAge
}

// keep remembers what a Secret held, and forgets those that were read too long ago.
func (s *secrets) keep(key types.NamespacedName, data secretData, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil {
		s.read = map[types.NamespacedName]readSecret{}
	}
	maps.DeleteFunc(s.read, func(_ types.NamespacedName, read readSecret) bool { return now.Sub(read.at) >= secretAge })
	s.read[key] = readSecret{data: data, at: now}
}

// sender makes the sender of a channel, with what its Secret holds.
func (n *Notifier) sender(ctx context.Context, channel v1alpha1.NotificationChannel) (sending.Sender, error) {
	if channel.Spec.SecretRef == nil {
		return n.senderWith(channel, nil)
	}
	key := types.NamespacedName{Namespace: channel.Namespace, Name: channel.Spec.SecretRef.Name}
	data, isRecent := n.secrets.recent(key, time.Now())
	if !isRecent {
		return n.senderAnew(ctx, channel, nil)
	}
	with, err := n.senderWith(channel, data)
	if err != nil {
		return n.senderAnew(ctx, channel, nil)
	}
	return &doubting{Sender: with, anew: func(ctx context.Context) (sending.Sender, error) { return n.senderAnew(ctx, channel, data) }}, nil
}

// senderAnew reads the Secret of the channel. The sender is nil where the Secret holds what it held
// before.
func (n *Notifier) senderAnew(ctx context.Context, channel v1alpha1.NotificationChannel, before secretData) (sending.Sender, error) {
	key := types.NamespacedName{Namespace: channel.Namespace, Name: channel.Spec.SecretRef.Name}
	data, err := n.readSecret(ctx, key)
	if err != nil {
		return nil, err
	}
	n.secrets.keep(key, data, time.Now())
	if before != nil && maps.EqualFunc(data, before, bytes.Equal) {
		return nil, nil
	}
	return n.senderWith(channel, data)
}

// doubting sends with what a Secret held a moment ago. Where that fails and the Secret has changed
// since, it sends with what the Secret holds now.
type doubting struct {
	sending.Sender
	// anew returns nil where the Secret has not changed.
	anew func(ctx context.Context) (sending.Sender, error)
}

// Send implements notify.Sender.
func (d *doubting) Send(ctx context.Context, message sending.Message, reference string) (string, error) {
	sent, err := d.Sender.Send(ctx, message, reference)
	if err == nil {
		return sent, nil
	}
	again, readErr := d.anew(ctx)
	switch {
	case ctx.Err() != nil:
		return sent, err // there was no time left to read the Secret
	case readErr != nil:
		return "", readErr
	case again == nil:
		return sent, err
	}
	return again.Send(ctx, message, reference)
}
