package notify

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sending "github.com/penstock-cd/penstock/pkg/notify"
)

type failing struct{ err error }

func (f failing) Send(context.Context, sending.Message, string) (string, error) { return "r", f.err }

func TestNoErrorHoldsWhatTheSecretHolds(t *testing.T) {
	t.Parallel()
	data := secretData{"token": []byte("xoxb-123456"), "url": []byte("https://hooks.example.org/services/T000/very-secret?key=also-secret"), "short": []byte("abc")}
	const leaky = "token xoxb-123456 of /services/T000/very-secret?key=also-secret, also-secret, very-secret, abc"
	send := func(err error) error {
		reference, err := keepSecret(failing{err}, data).Send(t.Context(), sending.Message{}, "")
		require.Equal(t, "r", reference)
		return err
	}
	const clean = "token [redacted] of [redacted]?[redacted], [redacted], [redacted], abc"
	var refused *sending.RefusedError
	require.ErrorAs(t, send(sending.Refuse("%s", leaky)), &refused)
	require.Equal(t, clean, refused.Words)
	var later *sending.LaterError
	require.ErrorAs(t, send(sending.Later(time.Minute, leaky)), &later)
	require.Equal(t, clean, later.Words)
	require.Equal(t, time.Minute, later.After)
	require.EqualError(t, send(errors.New(leaky)), clean)
	require.EqualError(t, send(errors.New("it said xoxb-12…")), "it said [redacted]…", "a secret of which the text was cut")
	require.EqualError(t, send(errors.New("it said that…")), "it said that…")
	require.NoError(t, send(nil))
}
