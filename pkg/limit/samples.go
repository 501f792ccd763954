package limit

import (
	"net/http"
	"sync"
	"time"
)

// Samples gathers, at the transport, how the API server answers. All methods may be called at any time from any goroutine.
type Samples struct {
	mu       sync.Mutex
	window   Window
	total    time.Duration // of the latencies
	inFlight int
}

// WrapTransport is for rest.Config.Wrap. It sees requests after they have waited for a token.
func (s *Samples) WrapTransport(next http.RoundTripper) http.RoundTripper {
	return &sampler{samples: s, next: next}
}

// Take returns what was seen since the last call, and begins anew.
func (s *Samples) Take() Window {
	s.mu.Lock()
	defer s.mu.Unlock()
	window := s.window
	if window.Answers > 0 {
		window.Latency = s.total / time.Duration(window.Answers)
	}
	s.window, s.total = Window{PeakInFlight: s.inFlight}, 0
	return window
}

func (s *Samples) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	s.window.PeakInFlight = max(s.window.PeakInFlight, s.inFlight)
}

func (s *Samples) end(took time.Duration, overrun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	s.window.Answers++
	s.total += took
	if overrun {
		s.window.Overrun++
	}
}

type sampler struct {
	samples *Samples
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s *sampler) RoundTrip(request *http.Request) (*http.Response, error) {
	begin := time.Now()
	s.samples.begin()
	response, err := s.next.RoundTrip(request)
	s.samples.end(time.Since(begin), isOverrun(response, err))
	return response, err
}

// WrappedRoundTripper lets apimachinery find the transport inside (k8s.io/apimachinery/pkg/util/net.RoundTripperWrapper).
func (s *sampler) WrappedRoundTripper() http.RoundTripper { return s.next }

func isOverrun(response *http.Response, err error) bool {
	if err != nil {
		return true
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}
