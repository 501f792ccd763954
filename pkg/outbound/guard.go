package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// dialTimeout bounds the lookup of a name and the connection to one of its addresses.
const dialTimeout = 10 * time.Second

// AllowedNetworksSetting is the setting that an error names.
const AllowedNetworksSetting = "OUTBOUND_ALLOWED_NETWORKS"

// Config is what an administrator decides.
type Config struct {
	// AllowedNetworks are networks that may be reached although they are not public.
	AllowedNetworks []netip.Prefix
	// Proxy takes every HTTP request. Nil means none: the proxy settings of the environment
	// are never read. It resolves names itself, so that it, and not the guard, judges what a
	// name stands for; an address that stands in a URL is judged by the guard all the same.
	Proxy *url.URL
}

// RefusedError means that an address may not be reached. It is final: trying again does not
// help before an administrator changes the setting.
type RefusedError struct {
	// Host is the name or address that was asked for, without a port.
	Host string
	// Address is what Host stands for.
	Address netip.Addr
}

// Error names the host, the address and the setting.
func (e *RefusedError) Error() string {
	host := e.Host
	if host != e.Address.String() {
		host = fmt.Sprintf("%s (%s)", e.Host, e.Address)
	}
	return fmt.Sprintf("%s is not a public address: an administrator can allow its network by %s", host, AllowedNetworksSetting)
}

// Guard decides which addresses are reached. It is safe for concurrent use.
type Guard struct {
	proxy  *url.URL
	judge  *ssrf.Guardian
	direct net.Dialer
}

// New returns a Guard.
func New(config Config) *Guard {
	var v4, v6 []netip.Prefix
	for _, network := range config.AllowedNetworks {
		if network = network.Masked(); network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	return &Guard{
		proxy:  config.Proxy,
		judge:  ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
		direct: net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second},
	}
}

// DialContext connects by TCP to host:port, unless every address of the host is refused.
// The error is a *RefusedError where the guard refused the first of them.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	var refused *RefusedError
	guarded := g.direct
	guarded.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
		return g.control(host, network, address)
	}
	connection, err := guarded.DialContext(ctx, network, address)
	if errors.As(err, &refused) {
		return nil, refused
	}
	return connection, err
}

// control judges the address of a socket that is about to connect.
func (g *Guard) control(host, network, address string) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("dial %s: %s is not TCP", host, network)
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", host, err)
	}
	return g.allow(host, parsed.Addr())
}

// allow fails with a *RefusedError unless the address may be reached.
func (g *Guard) allow(host string, address netip.Addr) error {
	address = address.Unmap()
	if err := g.judge.SafeAddr(address.WithZone("")); err != nil {
		return &RefusedError{Host: host, Address: address}
	}
	return nil
}
