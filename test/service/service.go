// Package service forwards connections to servers that are ready, as a Kubernetes Service does:
// each to the next one in turn. A connection that was made stays with its server until one of
// both ends it, ready or not.
package service

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// probeInterval is how often it is asked whether a server is ready.
	probeInterval = 250 * time.Millisecond
	// probeTimeout bounds that, and dialTimeout a connection to a server.
	probeTimeout, dialTimeout = 5 * time.Second, 5 * time.Second
)

// Service is an address of its own with servers behind it.
type Service struct {
	listener net.Listener
	cancel   context.CancelFunc
	ctx      context.Context //nolint:containedctx // it is the Service's own life
	running  sync.WaitGroup

	mu      sync.Mutex
	ready   []string // addresses
	next    int
	refused int
}

// Listen returns a Service without servers, on loopback.
func Listen() (*Service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Service{listener: listener}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Address is where it listens.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Refused is how many connections had no server.
func (s *Service) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Add has connections forwarded to an address while a URL answers 200, until remove is called.
func (s *Service) Add(address, readyURL string, roots *x509.CertPool) (remove func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	s.set(address, isReady(ctx, client, readyURL))
	s.running.Go(func() {
		defer s.set(address, false)
		ticker := time.NewTicker(probeInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.set(address, isReady(ctx, client, readyURL))
			}
		}
	})
	return cancel
}

// Close ends it, with all its connections.
func (s *Service) Close() {
	s.cancel()
	_ = s.listener.Close()
	s.running.Wait()
}

func isReady(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *Service) set(address string, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.DeleteFunc(s.ready, func(one string) bool { return one == address })
	if ready {
		s.ready = append(s.ready, address)
	}
}

func (s *Service) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.forward(client) })
	}
}

// forward carries one connection to its end.
func (s *Service) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	server := s.dial()
	if server == nil {
		_ = client.(*net.TCPConn).SetLinger(0) // reset, as of a Service without endpoints
		return
	}
	defer func() { _ = server.Close() }()
	defer context.AfterFunc(s.ctx, func() { _, _ = client.Close(), server.Close() })()
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(server, client)
	_ = server.(*net.TCPConn).CloseWrite()
	answers.Wait()
}

// dial connects to the next server that takes the connection; nil where none does.
func (s *Service) dial() net.Conn {
	for _, address := range s.candidates() {
		dialer := net.Dialer{Timeout: dialTimeout}
		if server, err := dialer.DialContext(s.ctx, "tcp", address); err == nil {
			return server
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	return nil
}

// candidates are the servers that are ready, the next one first.
func (s *Service) candidates() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return nil
	}
	s.next++
	first := s.next % len(s.ready)
	return slices.Concat(s.ready[first:], s.ready[:first])
}
