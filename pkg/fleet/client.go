package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// dialTimeout bounds one attempt to connect, tlsTimeout the handshake after it.
	dialTimeout, tlsTimeout = 5 * time.Second, 5 * time.Second
	// idleTimeout is longer than the time between two probes, so that they share a
	// connection.
	idleTimeout = 2 * time.Minute
	// maxError is the most bytes of an answer with an error that are read.
	maxError = 16 << 10
)

// proxyThrough has all requests go through one proxy.
func proxyThrough(proxy *url.URL) func(*http.Request) (*url.URL, error) { return http.ProxyURL(proxy) }

// Client is the connections to one cluster, which are its own: Close cuts all of them. It
// follows no redirects, since it would send its credentials along. It is safe for
// concurrent use.
type Client struct {
	host     string // without a path, for messages
	base     *url.URL
	http     *http.Client
	pool     *http.Transport
	kinds    kindCache
	life     context.Context //nolint:containedctx // dials end with the client, whoever has asked for them
	end      context.CancelFunc
	mu       sync.Mutex
	open     map[net.Conn]struct{}
	isClosed bool
}

// NewClient returns a client that connects when it is first used. The configuration is
// that of Parse, or of Penstock's own cluster.
func NewClient(config *rest.Config) (*Client, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, badKubeconfig("cluster.server is not a URL")
	}
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, badKubeconfig("its certificates are not usable")
	}
	c := &Client{host: base.Host, base: base, open: map[net.Conn]struct{}{}}
	c.life, c.end = context.WithCancel(context.Background())
	c.pool = utilnet.SetTransportDefaults(&http.Transport{
		TLSClientConfig: settings, DialContext: c.dial, Proxy: config.Proxy, DisableCompression: config.DisableCompression,
		TLSHandshakeTimeout: tlsTimeout, IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 4,
		OnProxyConnectResponse: tunnelled,
	})
	transport, err := rest.HTTPWrappersForConfig(config, c.pool)
	if err != nil {
		return nil, badKubeconfig("its credentials are not usable")
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// tunnelled fails where a proxy makes no tunnel.
func tunnelled(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &proxyError{answer.StatusCode}
	}
	return nil
}

// Host is the API server's host and port.
func (c *Client) Host() string { return c.host }

// Config is how client-go reaches the cluster over these connections, with these credentials.
// An http.Client that is made of it must follow no redirects, as NoRedirects has it.
func (c *Client) Config() *rest.Config {
	return &rest.Config{Host: c.base.String(), Transport: c.http.Transport}
}

// NoRedirects returns a client on the configuration that follows no redirects, since it would
// send the credentials along.
func NoRedirects(config *rest.Config) (*http.Client, error) {
	plain, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return plain, nil
}

// Do sends a request for a path of the API server. The error is a *Failure, unless ctx was
// cancelled: a status that is not 2xx is one too. The caller closes the answer's body.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	address := *c.base
	address.Path = strings.TrimSuffix(address.Path, "/") + path
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.host, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.Failure(ctx, err)
	}
	if failure := OfStatus(c.host, response.StatusCode, response.Header.Get("Retry-After")); failure != nil {
		_, _ = io.CopyN(io.Discard, response.Body, maxError) // so that the connection can be used again
		_ = response.Body.Close()
		return nil, failure
	}
	return response, nil
}

// Read sends a request and decodes the answer in JSON, of which it reads up to most bytes;
// into may be nil. The error is as that of Do.
func (c *Client) Read(ctx context.Context, method, path string, body []byte, most int64, into any) error {
	header := http.Header{"Accept": {"application/json"}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	response, err := c.Do(ctx, method, path, nil, header, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return c.Failure(ctx, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return badKubeconfig("%s answers, but not as a Kubernetes API server: check cluster.server", c.host)
	}
	return nil
}

// Failure classifies an error of the transport, or of reading an answer. It is a *Failure,
// unless ctx was cancelled.
func (c *Client) Failure(ctx context.Context, err error) error {
	if context.Cause(ctx) != nil {
		err = context.Cause(ctx)
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("ask %s: %w", c.host, err)
		}
	}
	return Classify(c.host, err)
}

// Reconnect cuts all connections; the next request makes a new one. A connection that has
// become a black hole would be used again until the kernel gives it up.
func (c *Client) Reconnect() {
	c.cut()
	c.pool.CloseIdleConnections()
}

// Close cuts all connections, and makes no new ones. It may be called more than once.
func (c *Client) Close() {
	c.mu.Lock()
	c.isClosed = true
	c.mu.Unlock()
	c.end()
	c.Reconnect()
}

func (c *Client) cut() {
	c.mu.Lock()
	connections := make([]net.Conn, 0, len(c.open))
	for connection := range c.open {
		connections = append(connections, connection)
	}
	c.mu.Unlock()
	for _, connection := range connections {
		_ = connection.Close()
	}
}

// Connections returns how many are open.
func (c *Client) Connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// dial keeps count of connections, and ends with the client.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	connection, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		_ = connection.Close()
		return nil, net.ErrClosed
	}
	counted := &countedConn{Conn: connection, client: c}
	c.open[counted] = struct{}{}
	return counted, nil
}

// countedConn is a connection that its client knows of until it is closed.
type countedConn struct {
	net.Conn
	client   *Client
	proof    atomic.Pointer[Proven] // who has proven where it leads; nil: nobody
	isClosed atomic.Bool
}

// Close closes it and has the client forget it.
func (c *countedConn) Close() error {
	c.isClosed.Store(true)
	c.client.mu.Lock()
	delete(c.client.open, c)
	c.client.mu.Unlock()
	return c.Conn.Close()
}
