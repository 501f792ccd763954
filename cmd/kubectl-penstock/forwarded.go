package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// forwardTimeout bounds how long a connection may take, with the port-forward that it may need.
const forwardTimeout = 20 * time.Second

// openForward opens a port-forward, and returns the local port and what ends it.
type openForward func(context.Context) (local uint16, end func(), err error)

// forwarded connects to the server by a port-forward, and opens another one once that is broken,
// as after its pod was replaced.
type forwarded struct {
	open openForward

	mu    sync.Mutex
	local uint16 // 0 where there is no port-forward
	end   func()
}

// newForwarded opens the first port-forward, so that its error is told at once.
func newForwarded(ctx context.Context, open openForward) (*forwarded, error) {
	f := &forwarded{open: open}
	_, err := f.beyond(ctx, 0)
	return f, err
}

// dial returns an encrypted connection. A port-forward whose pod is gone still accepts: only
// the handshake tells.
func (f *forwarded) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	f.mu.Lock()
	local := f.local
	f.mu.Unlock()
	connected, err := dialLocal(ctx, local, config)
	var untrusted *tls.CertificateVerificationError
	if err == nil || errors.As(err, &untrusted) || ctx.Err() != nil {
		return connected, err
	}
	if local, err = f.beyond(ctx, local); err != nil {
		return nil, err
	}
	return dialLocal(ctx, local, config)
}

func dialLocal(ctx context.Context, port uint16, config *tls.Config) (net.Conn, error) {
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// beyond returns the port of another port-forward than the broken one. Of many callers one opens it.
func (f *forwarded) beyond(ctx context.Context, broken uint16) (local uint16, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.local != broken {
		return f.local, nil
	}
	f.endLocked()
	local, end, err := f.open(ctx)
	if err != nil {
		return 0, err
	}
	f.local, f.end = local, end
	return local, nil
}

// close ends the port-forward.
func (f *forwarded) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLocked()
}

func (f *forwarded) endLocked() {
	if f.end != nil {
		f.end()
	}
	f.local, f.end = 0, nil
}
