package registry

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"k8s.io/utils/lru"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

const (
	// CheckTimeout bounds one question: waiting for the token bucket, the registry's terms, the
	// token, and the HEAD with its redirects.
	CheckTimeout = 30 * time.Second
	// maxHosts and maxSessions bound what is kept; what was used the longest ago goes first.
	maxHosts, maxSessions = 500, 4000
)

// Config is what a Client needs.
type Config struct {
	// Guard decides which addresses are reached.
	Guard *outbound.Guard
	// Now is the clock that pauses are measured by. Defaults to time.Now.
	Now func() time.Time
}

// Client asks registries. It is safe for concurrent use.
type Client struct {
	Config
	mu       sync.Mutex
	hosts    *lru.Cache
	sessions *lru.Cache
}

// sessionKey is whom a bearer token is for.
type sessionKey struct {
	host        *host
	repository  string
	credentials [sha256.Size]byte
}

// New returns a Client. Close it to close its idle connections.
func New(config Config) *Client {
	if config.Now == nil {
		config.Now = time.Now
	}
	onEviction := func(_ lru.Key, value any) { value.(*host).client.Close() }
	return &Client{Config: config, hosts: lru.NewWithEvictionFunc(maxHosts, onEviction), sessions: lru.New(maxSessions)}
}

// Digest returns the digest that the image's tag stands for now. Its error is an *Error, or
// that of the context. Credentials are optional.
func (c *Client) Digest(ctx context.Context, image Image, credentials *Credentials) (string, error) {
	asking, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	digest, err := c.session(image, credentials).digest(asking, image)
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	return digest, err
}

// PausedUntil returns until when a registry asks to be left alone; the zero time where it does
// not.
func (c *Client) PausedUntil(registry string) time.Time {
	c.mu.Lock()
	known, ok := c.hosts.Get(registry)
	c.mu.Unlock()
	if !ok {
		return time.Time{}
	}
	if paused := known.(*host).paused(); paused != nil {
		return paused.Until
	}
	return time.Time{}
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts.Clear() // which closes them one by one
	c.sessions.Clear()
}

func (c *Client) session(image Image, credentials *Credentials) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := sessionKey{host: c.host(image.Registry), repository: image.Repository, credentials: credentials.sum()}
	if known, ok := c.sessions.Get(key); ok {
		return known.(*session)
	}
	fresh := newSession(key.host, credentials)
	c.sessions.Add(key, fresh)
	return fresh
}

// host returns what is known of a registry. The caller holds the lock.
func (c *Client) host(name string) *host {
	if known, ok := c.hosts.Get(name); ok {
		return known.(*host)
	}
	fresh := newHost(name, c.Guard.NewClient(), c.Now)
	c.hosts.Add(name, fresh)
	return fresh
}
