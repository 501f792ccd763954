package limit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/limit"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheAnswerOfTheServerDecidesHowLongThePauseIs(t *testing.T) {
	t.Parallel()
	date := func(after time.Duration) func() string {
		return func() string { return time.Now().Add(after).UTC().Format(http.TimeFormat) }
	}
	text := func(s string) func() string { return func() string { return s } }
	cases := map[string]struct {
		status     int
		retryAfter func() string
		want       time.Duration
	}{
		"200 does not pause":                         {http.StatusOK, text("7"), 0},
		"503 does not pause":                         {http.StatusServiceUnavailable, text("7"), 0},
		"429 with seconds":                           {http.StatusTooManyRequests, text("7"), 7 * time.Second},
		"429 with a date":                            {http.StatusTooManyRequests, date(8 * time.Second), 8 * time.Second},
		"429 without the header":                     {http.StatusTooManyRequests, text(""), time.Second},
		"429 with a header that is neither":          {http.StatusTooManyRequests, text("soon"), time.Second},
		"429 with zero":                              {http.StatusTooManyRequests, text("0"), time.Second},
		"429 with a negative number":                 {http.StatusTooManyRequests, text("-5"), time.Second},
		"429 with a date in the past":                {http.StatusTooManyRequests, date(-time.Hour), time.Second},
		"429 with more than the cap":                 {http.StatusTooManyRequests, text("3600"), 30 * time.Second},
		"429 with a date beyond the cap":             {http.StatusTooManyRequests, date(time.Hour), 30 * time.Second},
		"429 with seconds that would overflow":       {http.StatusTooManyRequests, text("9223372036854775807"), 30 * time.Second},
		"429 with a negative number to overflow":     {http.StatusTooManyRequests, text("-9227000000"), time.Second},
		"429 with a number that is none of Go's int": {http.StatusTooManyRequests, text("99999999999999999999"), time.Second},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
				answer := &http.Response{StatusCode: test.status, Header: http.Header{}}
				answer.Header.Set("Retry-After", test.retryAfter())
				rt := tr.WrapTransport(roundTrip(func(*http.Request) (*http.Response, error) { return answer, nil }))
				response, err := rt.RoundTrip(nil)
				require.NoError(t, err)
				require.Same(t, answer, response)

				tr.Background().Accept()
				require.Equal(t, test.want, time.Since(tr.begin))
			})
		})
	}
}

func TestATransportErrorPassesAndDoesNotPause(t *testing.T) {
	inBubble(t, 50, 10, func(t *testing.T, tr *trace) {
		failure := errors.New("connection refused")
		rt := tr.WrapTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, failure }))
		_, err := rt.RoundTrip(nil)
		require.Equal(t, failure, err)
		require.True(t, tr.Trigger(cd).TryAccept())
		synctest.Wait()
	})
}

func TestOneTaskThatMeets429SlowsTheWholeProcess(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "20")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	bucket := limit.NewBucket(50, 10)

	err := get(t, bucket, server)
	require.ErrorContains(t, err, "too many requests")

	require.False(t, bucket.Trigger(cd).TryAccept())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.ErrorIs(t, bucket.Background().Wait(ctx), context.DeadlineExceeded)
}

// get sends one request the way client-go does for everybody, but without its own retries.
func get(t *testing.T, bucket *limit.Bucket, server *httptest.Server) error {
	t.Helper()
	config := &rest.Config{Host: server.URL, RateLimiter: bucket.Trigger(cd)}
	config.GroupVersion = &schema.GroupVersion{Version: "v1"}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.Wrap(bucket.WrapTransport)
	client, err := rest.RESTClientFor(config)
	require.NoError(t, err)
	defer client.Client.CloseIdleConnections()
	return client.Get().AbsPath("/version").MaxRetries(0).Do(t.Context()).Error()
}
