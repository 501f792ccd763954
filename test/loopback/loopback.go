// Package loopback gives tests a way to what they listen on, which pkg/outbound refuses.
package loopback

import (
	"net/netip"
	"testing"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Guard reaches 127.0.0.1 and public addresses.
func Guard() *outbound.Guard {
	return outbound.New(outbound.Config{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
}

// Client is a client of Guard that is closed with the test.
func Client(t testing.TB) *outbound.Client {
	t.Helper()
	client := Guard().NewClient()
	t.Cleanup(client.Close)
	return client
}
