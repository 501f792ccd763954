package notify

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sending "github.com/penstock-cd/penstock/pkg/notify"
)

func TestWhatASecretHeldIsUsedAgainForAMoment(t *testing.T) {
	t.Parallel()
	var s secrets
	at, old, other := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), secretData{"token": []byte("old")}, name("other", 1)
	_, found := s.recent(name("team", 1), at)
	require.False(t, found, "it was never read")
	s.keep(name("team", 1), old, at)
	s.keep(other, secretData{}, at.Add(time.Second))
	data, found := s.recent(name("team", 1), at.Add(secretAge-1))
	require.True(t, found)
	require.Equal(t, old, data)
	_, found = s.recent(name("team", 1), at.Add(secretAge))
	require.False(t, found, "that was too long ago")
	s.keep(other, secretData{}, at.Add(secretAge))
	require.Len(t, s.read, 1, "what is too old is not kept in memory")
}

// script is a sender whose every call returns these two.
type script struct {
	sent string
	err  error
}

func (s script) Send(context.Context, sending.Message, string) (string, error) { return s.sent, s.err }

func TestASecretIsReadAnewWhereWhatItHeldIsNotTaken(t *testing.T) {
	t.Parallel()
	refused, unreadable := sending.Refuse("invalid_auth"), errors.New("the Secret was deleted")
	for sentence, test := range map[string]struct {
		first, anew sending.Sender
		readErr     error
		sent        string
		err         error
		reads       int
	}{
		"what is taken needs no reading":              {first: script{sent: "1"}, sent: "1"},
		"it has not changed":                          {first: script{err: refused}, err: refused, reads: 1},
		"it has changed, and what it holds is taken":  {first: script{err: refused}, anew: script{sent: "2"}, sent: "2", reads: 1},
		"it has changed, and is not taken either":     {first: script{err: refused}, anew: script{err: unreadable}, err: unreadable, reads: 1},
		"it can't be read: that is tried again later": {first: script{err: refused}, readErr: unreadable, err: unreadable, reads: 1},
	} {
		reads := 0
		sender := &doubting{Sender: test.first, anew: func(context.Context) (sending.Sender, error) {
			reads++
			return test.anew, test.readErr
		}}
		sent, err := sender.Send(t.Context(), sending.Message{}, "")
		require.ErrorIs(t, err, test.err, sentence)
		require.Equal(t, test.sent, sent, sentence)
		require.Equal(t, test.reads, reads, sentence)
	}
}

func TestAnAttemptThatHasNoTimeLeftTellsWhatTheReceiverSaid(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	late := errors.New("no answer in time")
	sender := &doubting{Sender: script{err: late}, anew: func(context.Context) (sending.Sender, error) {
		cancel()
		return nil, context.Canceled
	}}
	_, err := sender.Send(ctx, sending.Message{}, "")
	require.ErrorIs(t, err, late)
}
