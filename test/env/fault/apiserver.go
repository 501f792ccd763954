package fault

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"

	"k8s.io/client-go/rest"
)

// APIServer is a proxy before a Kubernetes API server, over TLS and HTTP/2 as that.
// Who asks is left to the server behind it: credentials pass. Its methods are safe
// for concurrent use.
type APIServer struct {
	server *httptest.Server
	ctx    context.Context //nolint:containedctx // the life of the requests that hang
	end    context.CancelFunc

	mu       sync.Mutex
	behind   *behind
	renewed  *tls.Certificate // nil: the first one
	rule     Rule
	disturbs map[string]Disturbance
	requests []Request
}

// NewAPIServer starts a proxy before the server of a configuration.
func NewAPIServer(server *rest.Config) (*APIServer, error) {
	s := &APIServer{disturbs: map[string]Disturbance{}}
	var err error
	if s.behind, err = s.newBehind(server, ""); err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.EnableHTTP2 = true
	s.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.settings}
	s.server.StartTLS()
	return s, nil
}

// settings are those of one connection; nil means the server's own.
func (s *APIServer) settings(*tls.ClientHelloInfo) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed == nil {
		return nil, nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*s.renewed}, NextProtos: s.server.TLS.NextProtos}, nil
}

// Renew has the proxy show another certificate from now on, and cuts every connection, as
// an API server does that is installed anew. Through has the new one afterwards.
func (s *APIServer) Renew(certificate tls.Certificate) {
	s.mu.Lock()
	s.renewed = &certificate
	s.mu.Unlock()
	s.server.CloseClientConnections()
}

// Close cuts every connection and returns when nothing is left.
func (s *APIServer) Close() {
	s.end()
	s.server.CloseClientConnections()
	s.server.Close()
	s.now().transport.CloseIdleConnections()
}

// Through is the same client's configuration through the proxy.
func (s *APIServer) Through(client *rest.Config) *rest.Config {
	through := rest.CopyConfig(client)
	through.Host = s.server.URL
	shown := s.server.Certificate().Raw
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed != nil {
		shown = s.renewed.Certificate[0]
	}
	through.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown})
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
