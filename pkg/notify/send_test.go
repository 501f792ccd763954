package notify

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestAReceiverSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": time.Second, "never": time.Second, "-5": time.Second, "0": time.Second, "30": 30 * time.Second, "999999999999": 24 * time.Hour,
		"Thu, 26 Nov 2026 12:01:00 GMT": time.Minute, "Thu, 26 Nov 2020 12:01:00 GMT": time.Second, "Thu, 26 Nov 2036 12:01:00 GMT": 24 * time.Hour,
	} {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			err := Judge(outbound.Answer{Status: status, Header: http.Header{"Retry-After": {value}}}, noon)
			var later *LaterError
			require.ErrorAs(t, err, &later)
			require.Equal(t, want, later.After, value)
		}
	}
}

func TestAnAnswerIsKeptAsOneShortLine(t *testing.T) {
	t.Parallel()
	body := "a\x00\xff\r\n\tb" + strings.Repeat("ü", 1000)
	err := Judge(outbound.Answer{Status: http.StatusBadRequest, Body: []byte(body)}, noon)
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.LessOrEqual(t, len(refused.Words), maxWords)
	require.NotContains(t, refused.Words, "\n")
	require.Contains(t, refused.Words, "400 Bad Request: a")
}

func TestWhatMayNotBeReachedIsFinal(t *testing.T) {
	t.Parallel()
	inside := &outbound.RefusedError{Host: "relay", Address: netip.MustParseAddr("10.0.0.5")}
	err := Fail("webhook", &url.Error{Op: "Post", URL: "https://relay/secret", Err: fmt.Errorf("dial: %w", inside)})
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.EqualError(t, err, "refused: webhook: relay (10.0.0.5) is not a public address: an administrator can allow its network by OUTBOUND_ALLOWED_NETWORKS")
	err = Fail("webhook", &url.Error{Op: "Post", URL: "https://relay/secret", Err: fmt.Errorf("%w: to another", outbound.ErrRedirect)})
	require.EqualError(t, err, "refused: webhook: Post relay: redirect refused: to another")
	err = Fail("webhook", &url.Error{Op: "Post", URL: "https://relay/secret", Err: context.DeadlineExceeded})
	require.NotErrorAs(t, err, &refused, "it may answer next time")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "secret")
}
