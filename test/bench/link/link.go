// Package link puts links before API servers: each looks like a server of its own that is some way
// away, and may become a black hole.
package link

import (
	"context"
	"net"
	"sync"
	"time"
)

// Network is links that stand before a few API servers, so that each looks like one of its
// own. What passes stays encrypted: clients check the server's own certificate.
type Network struct {
	Links []*Link
	group sync.WaitGroup
	ctx   context.Context //nolint:containedctx // the life of all connections
	end   context.CancelFunc
}

// New opens so many links, to the servers in turn.
func New(servers []string, links int, away time.Duration) (*Network, error) {
	n := &Network{}
	n.ctx, n.end = context.WithCancel(context.Background())
	for i := range links {
		listener, err := (&net.ListenConfig{}).Listen(n.ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			n.Close()
			return nil, err
		}
		one := &Link{network: n, listener: listener, server: servers[i%len(servers)], away: away, open: map[net.Conn]struct{}{}}
		n.Links = append(n.Links, one)
		n.group.Go(one.accept)
	}
	return n, nil
}

// Close cuts everything, and returns when nothing is left.
func (n *Network) Close() {
	n.end()
	for _, one := range n.Links {
		_ = one.listener.Close()
		one.cut()
	}
	n.group.Wait()
}

// Link is the way to one cluster. It is safe for concurrent use.
type Link struct {
	network  *Network
	listener net.Listener
	server   string

	mu     sync.Mutex
	away   time.Duration // round trip
	isHole bool
	open   map[net.Conn]struct{}
}

// Address is the host and port of the link.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Server is the host and port of the server behind it.
func (l *Link) Server() string { return l.server }

// SetAway changes the time of a round trip.
func (l *Link) SetAway(away time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// Swallow has everything that is sent vanish, as a firewall does that drops packets. What
// was open then is cut when that ends.
func (l *Link) Swallow(isHole bool) {
	l.mu.Lock()
	was := l.isHole
	l.isHole = isHole
	l.mu.Unlock()
	if was && !isHole {
		l.cut()
	}
}

func (l *Link) state() (oneWay time.Duration, isHole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away / 2, l.isHole
}

func (l *Link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for connection := range l.open {
		_ = connection.Close()
	}
}

// keep notes whether connections are open.
func (l *Link) keep(isOpen bool, connections ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, connection := range connections {
		delete(l.open, connection)
		if isOpen {
			l.open[connection] = struct{}{}
		}
	}
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.network.group.Go(func() { l.serve(client) })
	}
}

// serve carries one connection until either side ends it.
func (l *Link) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(l.network.ctx, "tcp", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	l.keep(true, client, server)
	defer l.keep(false, client, server)
	if l.network.ctx.Err() != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.carry(client, server) })
	both.Go(func() { l.carry(server, client) })
	both.Wait()
}

// chunk is what was sent at once, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

// carry brings what one side sends to the other, half a round trip later.
func (l *Link) carry(from, to net.Conn) {
	chunks := make(chan chunk, 256)
	l.network.group.Go(func() {
		defer func() { _ = to.Close() }()
		for one := range chunks {
			Wait(l.network.ctx, time.Until(one.due))
			if _, isHole := l.state(); isHole {
				continue
			}
			if _, err := to.Write(one.data); err != nil {
				_ = from.Close()
			}
		}
	})
	defer close(chunks)
	buffer := make([]byte, 16<<10)
	for {
		count, err := from.Read(buffer)
		if count > 0 {
			oneWay, _ := l.state()
			chunks <- chunk{append([]byte(nil), buffer[:count]...), time.Now().Add(oneWay)}
		}
		if err != nil {
			return
		}
	}
}

// Wait returns after a while, or when ctx ends.
func Wait(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
