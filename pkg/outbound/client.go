package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	// requestTimeout bounds a whole request: connection, headers and body.
	requestTimeout = 30 * time.Second
	// maxAnswer is how many bytes of an answer are read, maxHeader of its headers.
	maxAnswer, maxHeader = 1 << 20, 64 << 10
	// maxRedirects is how many redirects are followed.
	maxRedirects = 5
)

// Answer is what a host answered.
type Answer struct {
	Status int
	Header http.Header
	// Body is at most 1 MiB. What follows is not read.
	Body []byte
}

// Client asks over HTTP. It is safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient returns a client of the guard. Close it to close its idle connections.
func (g *Guard) NewClient() *Client {
	transport := &http.Transport{
		DialContext: g.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConns: 100, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: requestTimeout, MaxResponseHeaderBytes: maxHeader,
	}
	if g.proxy != nil {
		transport.Proxy, transport.DialContext = http.ProxyURL(g.proxy), g.direct.DialContext
	}
	return &Client{http: &http.Client{
		Transport: judged{guard: g, Transport: transport}, Timeout: requestTimeout, CheckRedirect: checkRedirect,
	}}
}

// HTTP is the client for libraries that want one. Their errors may hold the whole URL: see
// WithoutURL.
func (c *Client) HTTP() *http.Client { return c.http }

// RoundTrip implements http.RoundTripper, for libraries that put something above it.
func (c *Client) RoundTrip(request *http.Request) (*http.Response, error) {
	return c.http.Transport.RoundTrip(request)
}

// Through is a client as HTTP whose requests go through a round tripper that ends at this one.
func (c *Client) Through(above http.RoundTripper) *http.Client {
	through := *c.http
	through.Transport = above
	return &through
}

// Close closes the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request and reads the answer, of whatever status. The error holds no more of
// the URL than its host.
func (c *Client) Do(request *http.Request) (Answer, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, WithoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of %s: %w", request.URL.Host, err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// WithoutURL leaves nothing of a URL in the error of a client but its host: a path or a
// query can be a secret.
func WithoutURL(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	host := "the host"
	if parsed, parseErr := url.Parse(failed.URL); parseErr == nil && parsed.Host != "" {
		host = parsed.Host
	}
	if failed.Timeout() && !errors.Is(failed.Err, context.Canceled) {
		return fmt.Errorf("%s %s: no answer in time: %w", failed.Op, host, context.DeadlineExceeded)
	}
	return fmt.Errorf("%s %s: %w", failed.Op, host, failed.Err)
}

// ErrRedirect means that a redirect is not followed.
var ErrRedirect = errors.New("redirect refused")

// checkRedirect follows a few redirects, none from HTTPS to HTTP, and to another host only what
// reads: the body and the headers of anything else may hold a token or a signature. Each
// connection is judged for itself.
func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
	}
	if via[len(via)-1].URL.Scheme == "https" && request.URL.Scheme != "https" {
		return fmt.Errorf("%w: from https to %s at %s", ErrRedirect, request.URL.Scheme, request.URL.Host)
	}
	first := via[0]
	if isRead := first.Method == http.MethodGet || first.Method == http.MethodHead; !isRead && request.URL.Host != first.URL.Host {
		return fmt.Errorf("%w: to %s, with what was sent to %s: name the host that answers", ErrRedirect, request.URL.Host, first.URL.Host)
	}
	return nil
}

// judged refuses addresses that stand in a URL, also where a proxy would connect to them.
type judged struct {
	guard *Guard
	*http.Transport
}

// RoundTrip implements http.RoundTripper.
func (j judged) RoundTrip(request *http.Request) (*http.Response, error) {
	host := request.URL.Hostname()
	if address, err := netip.ParseAddr(host); err == nil {
		if err := j.guard.allow(host, address); err != nil {
			return nil, err
		}
	}
	return j.Transport.RoundTrip(request)
}
