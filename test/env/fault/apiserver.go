package fault

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"

	"k8s.io/client-go/rest"
)

// APIServer is a proxy before a Kubernetes API server, over TLS and HTTP/2 as that.
// Who asks is left to the server behind it: credentials pass. Its methods are safe
// for concurrent use.
type APIServer struct {
	server    *httptest.Server
	proxy     *httputil.ReverseProxy
	transport *http.Transport
	ctx       context.Context //nolint:containedctx // the life of the requests that hang
	end       context.CancelFunc

	mu       sync.Mutex
	rule     Rule
	disturbs map[string]Disturbance
	requests []Request
}

// NewAPIServer starts a proxy before the server of a configuration.
func NewAPIServer(server *rest.Config) (*APIServer, error) {
	target, err := url.Parse(server.Host)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	settings, err := rest.TLSConfigFor(server)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	s := &APIServer{disturbs: map[string]Disturbance{}, transport: newTransport(settings)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      s.transport,
		FlushInterval:  -1, // events are passed on as they come
		ModifyResponse: s.disturbEvents,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.EnableHTTP2 = true
	s.server.StartTLS()
	return s, nil
}

// newTransport passes on what comes as it comes: neither side's compression is
// undone.
func newTransport(settings *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DisableCompression: true}
}

// Close cuts every connection and returns when nothing is left.
func (s *APIServer) Close() {
	s.end()
	s.server.CloseClientConnections()
	s.server.Close()
	s.transport.CloseIdleConnections()
}

// Through is the same client's configuration through the proxy.
func (s *APIServer) Through(client *rest.Config) *rest.Config {
	through := rest.CopyConfig(client)
	through.Host = s.server.URL
	through.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
	return through
}

// Break has the rule decide what becomes of each request; nil passes all.
func (s *APIServer) Break(rule Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule = rule
}

// Disturb has a disturbance change the events of a resource, such as workflows,
// those of watches under way included; nil leaves them.
func (s *APIServer) Disturb(resource string, disturbance Disturbance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturbs[resource] = disturbance
}

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
	request.Fault = s.decide(ctx, request)
	s.note(request)
	if request.IsWatch() {
		onlyJSON(r.Header)
		request.Fault.apply(ctx, w, func(w http.ResponseWriter) { s.proxy.ServeHTTP(w, r.WithContext(ctx)) })
		return
	}
	// What has reached the proxy reaches the server, whether the client still waits
	// or not.
	request.Fault.apply(ctx, w, func(w http.ResponseWriter) { s.proxy.ServeHTTP(w, r.WithContext(s.ctx)) })
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

func (s *APIServer) note(request Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
}
