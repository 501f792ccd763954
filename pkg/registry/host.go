package registry

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/retryafter"
)

const (
	// requestsPerSecond and burst bound the requests to one registry and its token server.
	requestsPerSecond, burst = 10, 20
	// minPause and maxPause bound for how long a registry is left alone that asks for it, and
	// defaultPause is for one that does not say how long.
	minPause, defaultPause, maxPause = 5 * time.Second, time.Minute, time.Hour
	// maxAnswer bounds what is read of an answer, and maxRefusal of one that is an error, in bytes.
	maxAnswer, maxRefusal = 1 << 20, 4 << 10
)

// host is one registry: what is asked there shares connections, a token bucket and pauses.
type host struct {
	name   string
	client *outbound.Client
	bucket *rate.Limiter
	now    func() time.Time

	mu          sync.Mutex
	pausedUntil time.Time
	words       string // why it is paused
}

func newHost(name string, client *outbound.Client, now func() time.Time) *host {
	return &host{name: name, client: client, bucket: rate.NewLimiter(requestsPerSecond, burst), now: now}
}

// paused returns a RateLimited error while the registry is left alone.
func (h *host) paused() *Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.now().Before(h.pausedUntil) {
		return nil
	}
	return &Error{Class: RateLimited, Registry: h.name, Words: h.words, Until: h.pausedUntil}
}

// RoundTrip sends a request when the token bucket allows it. An answer that is an error is
// returned as one, but for those that the library acts on.
func (h *host) RoundTrip(request *http.Request) (*http.Response, error) {
	if paused := h.paused(); paused != nil {
		return nil, paused
	}
	if err := h.bucket.Wait(request.Context()); err != nil {
		return nil, h.busy(request, err)
	}
	response, err := h.client.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = bounded{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	if h.asksForPause(response) {
		return nil, h.pause(response)
	}
	// A challenge is answered, and a token server may not know the form of the request.
	if isForLibrary := response.StatusCode == http.StatusUnauthorized || request.Method == http.MethodPost; isForLibrary || response.StatusCode < http.StatusBadRequest {
		return response, nil
	}
	return nil, &Error{Class: classOf(response.StatusCode), Registry: h.name, Words: refusalOf(response)}
}

// busy is what a request becomes for which there is no room in time.
func (h *host) busy(request *http.Request, err error) error {
	if request.Context().Err() != nil {
		return request.Context().Err()
	}
	return &Error{
		Class: RateLimited, Registry: h.name, Until: h.now().Add(minPause),
		Words: fmt.Sprintf("more is asked than the %d requests per second that Penstock sends to one registry: %s", requestsPerSecond, err),
	}
}

func (h *host) asksForPause(response *http.Response) bool {
	return response.StatusCode == http.StatusTooManyRequests ||
		(response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "")
}

// pause leaves the registry alone for as long as it asks.
func (h *host) pause(response *http.Response) *Error {
	words, now := refusalOf(response), h.now()
	until := now.Add(max(retryafter.Parse(response.Header.Get("Retry-After"), now, defaultPause, maxPause), minPause))
	h.mu.Lock()
	defer h.mu.Unlock()
	if until.After(h.pausedUntil) {
		h.pausedUntil, h.words = until, words
	}
	return &Error{Class: RateLimited, Registry: h.name, Words: words, Until: h.pausedUntil}
}

// refusalOf returns the words of an answer that is an error, and closes it.
func refusalOf(response *http.Response) string {
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal)) // what was read is enough
	return statusWords(response.StatusCode, wordsOf(body))
}

// bounded is a body of which no more is read than fits.
type bounded struct {
	io.Reader
	io.Closer
}
