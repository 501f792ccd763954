package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

const (
	// maxTries is how often a request is sent over connections that turn out to be new.
	maxTries = 4
	// maxSchemas bounds the FlowSchemas that are remembered.
	maxSchemas = 64
	// flowSchema is a header of an API server's answers: the UID of the FlowSchema that the request
	// belongs to. No two clusters have the same:
	// https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#diagnostics
	flowSchema = "X-Kubernetes-Pf-Flowschema-Uid"
)

// errUnproven is the error where every try met a new connection.
var errUnproven = errors.New("each connection to the cluster was cut before it could be used")

// Proven is a transport over a client's connections for requests that must reach one cluster and
// no other. It proves each new connection with one request, and costs none while a connection
// lasts:
//
//   - The body of a write is sent only over a connection that was proven, so that a write which
//     begins on another one is never complete.
//   - The answer to a read that came over another one is dropped.
//   - Behind a proxy that keeps the connection and changes the server, the first answer of an
//     unknown FlowSchema has the connection proven again. Writes that are in flight at that moment
//     may have reached the other cluster.
//
// It is safe for concurrent use.
type Proven struct {
	transport http.RoundTripper
	prove     func(ctx context.Context) error
	turn      chan struct{} // whoever proves holds it
	last      atomic.Pointer[countedConn]

	mu      sync.Mutex
	schemas map[string]bool
}

// Proven returns such a transport. prove asks the cluster who it is, by one request of the client
// itself, and fails where it is another one.
func (c *Client) Proven(prove func(ctx context.Context) error) *Proven {
	return &Proven{transport: c.http.Transport, prove: prove, turn: make(chan struct{}, 1), schemas: map[string]bool{}}
}

// RoundTrip implements http.RoundTripper.
func (p *Proven) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	for try := range maxTries {
		if err := p.proveLast(ctx); err != nil {
			closeBody(request)
			return nil, err
		}
		one, err := newPassage(p, request, try > 0)
		if err != nil {
			return nil, err
		}
		response, err := p.transport.RoundTrip(one.request)
		used := one.used.Load()
		if one.mayReturn(used, err) {
			return p.check(request, response, used, err)
		}
		drop(response)
		if err := p.proveConnection(ctx, used); err != nil {
			return nil, err
		}
	}
	return nil, errUnproven
}

// check proves the connection again where an answer is of an unknown FlowSchema.
func (p *Proven) check(request *http.Request, response *http.Response, used *countedConn, err error) (*http.Response, error) {
	if err != nil {
		return response, err
	}
	schema := response.Header.Get(flowSchema)
	if schema == "" || p.knows(schema) {
		return response, nil
	}
	used.proof.CompareAndSwap(p, nil)
	if err := p.proveConnection(request.Context(), used); err != nil {
		if isWrite(request) {
			return response, nil // it is done, wherever: the caller must know of it
		}
		drop(response)
		return nil, err
	}
	p.learn(schema)
	return response, nil
}

func (p *Proven) knows(schema string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.schemas[schema]
}

func (p *Proven) learn(schema string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.schemas) >= maxSchemas {
		clear(p.schemas)
	}
	p.schemas[schema] = true
}

// has tells whether a connection is open and was proven.
func (p *Proven) has(connection *countedConn) bool {
	return connection != nil && connection.proof.Load() == p && !connection.isClosed.Load()
}

// proveLast proves a connection unless the one that was proven last is open.
func (p *Proven) proveLast(ctx context.Context) error {
	return p.proveUnless(ctx, func() bool { return p.has(p.last.Load()) })
}

// proveConnection proves a connection unless this one was proven meanwhile. Which one the proof
// takes is up to the pool; with HTTP/2 there is one.
func (p *Proven) proveConnection(ctx context.Context, connection *countedConn) error {
	return p.proveUnless(ctx, func() bool { return p.has(connection) })
}

// proveUnless proves one connection for all who wait for it.
func (p *Proven) proveUnless(ctx context.Context, isProven func() bool) error {
	if isProven() {
		return nil
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	if isProven() {
		return nil
	}
	var used atomic.Pointer[countedConn]
	if err := p.prove(traceConnection(ctx, &used)); err != nil {
		return err
	}
	if connection := used.Load(); connection != nil {
		connection.proof.Store(p)
		p.last.Store(connection)
	}
	return nil
}

// traceConnection notes the connection that a request takes, before any of it is sent: the last
// one where the transport takes several.
func traceConnection(ctx context.Context, used *atomic.Pointer[countedConn]) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { used.Store(countedOf(info.Conn)) },
	})
}

// countedOf returns the client's connection below TLS; nil where there is none.
func countedOf(connection net.Conn) *countedConn {
	for connection != nil {
		if counted, is := connection.(*countedConn); is {
			return counted
		}
		above, is := connection.(interface{ NetConn() net.Conn })
		if !is {
			return nil
		}
		connection = above.NetConn()
	}
	return nil
}

func isWrite(request *http.Request) bool {
	return request.Method != http.MethodGet && request.Method != http.MethodHead
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

func drop(response *http.Response) {
	if response != nil {
		_, _ = io.CopyN(io.Discard, response.Body, maxError)
		_ = response.Body.Close()
	}
}
