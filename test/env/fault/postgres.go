package fault

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Postgres is a proxy before a Postgres server that understands where a reply ends
// and what it is the reply to. It passes on no encryption: clients are told that the
// server has none. Its methods are safe for concurrent use.
type Postgres struct {
	// URL reaches the server through the proxy.
	URL string

	server   string
	listener net.Listener
	stalled  Gate
	group    sync.WaitGroup
	ctx      context.Context //nolint:containedctx // the life of the proxy's connections
	end      context.CancelFunc

	mu       sync.Mutex
	sessions map[*session]struct{}
	latency  time.Duration
	judge    func(Exchange) Fate
}

// NewPostgres starts a proxy before the server of a URL.
func NewPostgres(serverURL string) (*Postgres, error) {
	address, err := url.Parse(serverURL)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Postgres{server: address.Host, listener: listener, sessions: map[*session]struct{}{}}
	p.ctx, p.end = context.WithCancel(context.Background())
	address.Host = listener.Addr().String()
	p.URL = address.String()
	p.group.Go(p.accept)
	return p, nil
}

// Close cuts every connection, takes no new one, and returns when nothing is left.
func (p *Postgres) Close() {
	_ = p.listener.Close()
	p.end()
	p.Cut()
	p.group.Wait()
}

// Cut ends every connection that is open now.
func (p *Postgres) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for session := range p.sessions {
		session.cancel()
	}
}

// Stall lets nothing pass any more, in either direction, but keeps it, as a server
// does that hangs. New connections are taken and not answered.
func (p *Postgres) Stall() { p.stalled.Shut() }

// Resume ends a stall: what was sent meanwhile arrives.
func (p *Postgres) Resume() { p.stalled.Open() }

// SetLatency delays every reply from now on.
func (p *Postgres) SetLatency(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// Judge has the function decide what becomes of each reply, once the server has
// committed what it is the reply to. It may be called by several goroutines at once;
// nil delivers all.
func (p *Postgres) Judge(judge func(Exchange) Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

func (p *Postgres) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.serve(client) })
	}
}

// serve carries one connection until either side ends it.
func (p *Postgres) serve(client net.Conn) {
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	s := newSession(p, client, server)
	p.add(s)
	defer p.remove(s)
	s.run()
}

func (p *Postgres) add(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[s] = struct{}{}
}

func (p *Postgres) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

func (p *Postgres) settings() (time.Duration, func(Exchange) Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latency, p.judge
}
