package limit

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func TestSamplesTellHowTheServerAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]int{"/ok": 201, "/busy": 429, "/down": 503, "/late": 504, "/broken": 500, "/wrong": 404}
		samples := &Samples{}
		transport := samples.WrapTransport(roundTrip(func(request *http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			if code, known := answers[request.URL.Path]; known {
				return &http.Response{StatusCode: code, Body: http.NoBody}, nil
			}
			return nil, errors.New("connection reset")
		}))
		ask := func(path string) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server"+path, nil)
			require.NoError(t, err)
			if response, err := transport.RoundTrip(request); err == nil {
				_ = response.Body.Close()
			}
		}
		for _, path := range []string{"/ok", "/busy", "/down", "/late", "/broken", "/wrong", "/nothing"} {
			go ask(path)
		}
		synctest.Wait()
		require.Equal(t, Window{PeakInFlight: 7}, samples.Take(), "none is answered yet")
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, Window{Answers: 7, Latency: 10 * time.Millisecond, Overrun: 4, PeakInFlight: 7}, samples.Take())
		ask("/ok")
		require.Equal(t, Window{Answers: 1, Latency: 10 * time.Millisecond, PeakInFlight: 1}, samples.Take())
		require.Equal(t, Window{}, samples.Take())
	})
}
