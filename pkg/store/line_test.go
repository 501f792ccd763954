package store_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is a TCP proxy to the server that can be cut, and can fall silent.
type line struct {
	listener net.Listener
	server   string
	silent   atomic.Bool

	mu    sync.Mutex
	isCut bool
	ends  []net.Conn
	group sync.WaitGroup
}

// newLine returns a line to the server of a URL, and the URL through it.
func newLine(t *testing.T, through string) (*line, string) {
	t.Helper()
	address, err := url.Parse(through)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener, server: address.Host}
	l.group.Go(l.accept)
	t.Cleanup(func() {
		l.cut()
		l.group.Wait()
	})
	address.Host = listener.Addr().String()
	return l, address.String()
}

func (l *line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.add(client, server) {
			return
		}
		l.group.Go(func() { l.carry(server, client) })
		l.group.Go(func() { l.carry(client, server) })
	}
}

func (l *line) add(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		for _, end := range ends {
			_ = end.Close()
		}
		return false
	}
	l.ends = append(l.ends, ends...)
	return true
}

// carry copies until one end is closed; in silence it swallows.
func (l *line) carry(to io.WriteCloser, from io.Reader) {
	defer func() { _ = to.Close() }()
	_, _ = io.Copy(writer(func(text []byte) (int, error) {
		if l.silent.Load() {
			return len(text), nil
		}
		return to.Write(text)
	}), from)
}

type writer func([]byte) (int, error)

func (w writer) Write(text []byte) (int, error) { return w(text) }

// cut ends every connection, and takes no new one. Cutting twice is no error.
func (l *line) cut() {
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, end := range l.ends {
		_ = end.Close()
	}
}
