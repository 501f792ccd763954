package server

import (
	"errors"
	"net"
	"sync"

	"github.com/penstock-cd/penstock/server/identity"
)

// limited is a listener with at most so many connections open at once.
type limited struct {
	net.Listener

	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimited(listener net.Listener, most int) *limited {
	return &limited{Listener: listener, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for a slot, and then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	connection, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slot{Conn: connection, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends the listener and those who wait for a slot.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// slot gives its place back when it is closed.
type slot struct {
	net.Conn

	release func()
}

// Close closes the connection.
func (s *slot) Close() error {
	defer s.release()
	return s.Conn.Close()
}

func asRefused(err error, refused **identity.RefusedError) bool { return errors.As(err, refused) }
