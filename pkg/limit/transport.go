package limit

import (
	"net/http"
	"time"

	"github.com/penstock-cd/penstock/pkg/retryafter"
)

const (
	defaultRetryAfter = time.Second
	longestRetryAfter = 30 * time.Second
)

// WrapTransport is for rest.Config.Wrap: an answer of 429 (Too Many Requests) pauses the whole bucket for what its
// Retry-After asks (RFC 9110, 10.2.3: seconds or a date; 1 s where it is missing, in the past or unreadable; 30 s at most).
// The answer itself passes unchanged.
func (b *Bucket) WrapTransport(next http.RoundTripper) http.RoundTripper {
	return &transport{bucket: b, next: next}
}

type transport struct {
	bucket *Bucket
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusTooManyRequests {
		t.bucket.Pause(retryafter.Parse(response.Header.Get("Retry-After"), time.Now(), defaultRetryAfter, longestRetryAfter))
	}
	return response, err
}

// WrappedRoundTripper lets apimachinery find the transport inside (k8s.io/apimachinery/pkg/util/net.RoundTripperWrapper).
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }
