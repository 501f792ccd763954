package fault

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
)

// Requests are all that came so far, in order.
func (s *APIServer) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// serve passes a request on, or does to it what the rule says.
func (s *APIServer) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	request := requestOf(r, body)
	place := s.note(request) // before it may be held up
	request.Fault = s.decide(ctx, request)
	s.noteFault(place, request.Fault)
	to := s.now()
	if request.IsWatch() {
		onlyJSON(r.Header)
		request.Fault.apply(ctx, w, func(w http.ResponseWriter) { to.proxy.ServeHTTP(w, r.WithContext(ctx)) })
		return
	}
	// What has reached the proxy reaches the server, whether the client still waits
	// or not.
	request.Fault.apply(ctx, w, func(w http.ResponseWriter) { to.proxy.ServeHTTP(w, r.WithContext(s.ctx)) })
}

func (s *APIServer) decide(ctx context.Context, request Request) Fault {
	s.mu.Lock()
	rule := s.rule
	s.mu.Unlock()
	if rule == nil {
		return None
	}
	return rule(ctx, request)
}

// note returns the request's place.
func (s *APIServer) note(request Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	return len(s.requests) - 1
}

func (s *APIServer) noteFault(place int, what Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[place].Fault = what
}
