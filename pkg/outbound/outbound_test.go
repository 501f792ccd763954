package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback allows what tests listen on.
var loopback = Config{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}

func client(t *testing.T, guard *Guard) *Client {
	t.Helper()
	c := guard.NewClient()
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *Client, url string) (Answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	return c.Do(request)
}

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		addresses []string
		refused   bool
	}{
		"public":                    {[]string{"1.1.1.1", "2606:4700::1111"}, false},
		"loopback":                  {[]string{"127.0.0.1", "127.8.8.8", "::1"}, true},
		"unspecified":               {[]string{"0.0.0.0", "::"}, true},
		"private":                   {[]string{"10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1"}, true},
		"shared":                    {[]string{"100.64.0.1"}, true},
		"link-local and metadata":   {[]string{"169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254"}, true},
		"multicast and broadcast":   {[]string{"224.0.0.1", "255.255.255.255", "ff02::1"}, true},
		"loopback mapped into IPv6": {[]string{"::ffff:127.0.0.1", "::ffff:169.254.169.254"}, true},
		"loopback behind NAT64":     {[]string{"64:ff9b::7f00:1"}, true},
		"loopback behind 6to4":      {[]string{"2002:7f00:1::"}, true},
	}
	guard := New(Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, address := range test.addresses {
				err := guard.allow("receiver.example.org", netip.MustParseAddr(address))
				var refused *RefusedError
				require.Equal(t, test.refused, errors.As(err, &refused), "%s: %v", address, err)
			}
		})
	}
}

func TestAnAdministratorAllowsNetworks(t *testing.T) {
	t.Parallel()
	guard := New(Config{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("fd00:1::/32")}})
	for address, refused := range map[string]bool{"10.1.255.1": false, "::ffff:10.1.0.1": false, "fd00:1::9": false, "10.2.0.1": true, "fd00:2::9": true} {
		require.Equal(t, refused, guard.allow("relay", netip.MustParseAddr(address)) != nil, address)
	}
}

func TestARefusalNamesTheHostTheAddressAndTheSetting(t *testing.T) {
	t.Parallel()
	_, err := get(t, client(t, New(Config{})), "http://127.0.0.1:1/secret")
	require.EqualError(t, err, "Get 127.0.0.1:1: 127.0.0.1 is not a public address: an administrator can allow its network by OUTBOUND_ALLOWED_NETWORKS")
	guard := New(Config{})
	guard.direct.Resolver = resolver(t, "10.0.0.5")
	_, err = guard.DialContext(t.Context(), "tcp", "relay.example.org:25")
	require.EqualError(t, err, "relay.example.org (10.0.0.5) is not a public address: an administrator can allow its network by OUTBOUND_ALLOWED_NETWORKS")
}

func TestARedirectIsJudgedAsWell(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	t.Cleanup(inside.Close)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	for name, target := range map[string]string{
		"loopback under another address": "http://127.0.0.2" + port, "a metadata service": "http://169.254.169.254/latest/meta-data",
		"IPv6": "http://[::1]" + port, "mapped into IPv6": "http://[::ffff:169.254.169.254]/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := httptest.NewServer(http.RedirectHandler(target, http.StatusTemporaryRedirect))
			t.Cleanup(receiver.Close)
			_, err := get(t, client(t, New(loopback)), receiver.URL+"/services/secret")
			var refused *RefusedError
			require.ErrorAs(t, err, &refused)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestRedirectsAreFew(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	t.Cleanup(receiver.Close)
	_, err := get(t, client(t, New(loopback)), receiver.URL)
	require.ErrorIs(t, err, ErrRedirect)
	require.EqualValues(t, maxRedirects+1, asked.Load())
}

func TestNoRedirectGoesFromHTTPSToHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked without TLS") }))
	t.Cleanup(plain.Close)
	receiver := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusTemporaryRedirect))
	t.Cleanup(receiver.Close)
	c := client(t, New(loopback))
	transport := receiver.Client().Transport.(*http.Transport)
	c.http.Transport.(judged).TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs}
	_, err := get(t, c, receiver.URL)
	require.ErrorIs(t, err, ErrRedirect)
}

// What was meant for one host, such as a token in a header of its own, is given to no other.
func TestWhatIsSentIsNotRedirectedToAnotherHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	t.Cleanup(other.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		receiver := httptest.NewServer(http.RedirectHandler(other.URL, status))
		t.Cleanup(receiver.Close)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, receiver.URL, strings.NewReader("secret"))
		require.NoError(t, err)
		request.Header.Set("Private-Token", "secret")
		_, err = client(t, New(loopback)).Do(request)
		require.ErrorIs(t, err, ErrRedirect)
	}
}

// No lookup comes before that of the connection which is judged.
func TestANameWhoseAnswerChangesReachesNothingInside(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	t.Cleanup(inside.Close)
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	guard := New(Config{})
	guard.direct.Resolver = resolver(t, "192.0.2.1", "127.0.0.1", "127.0.0.1", "127.0.0.1")
	for range 4 { // the first is refused as well: 192.0.2.0/24 is reserved for documentation
		_, err := get(t, client(t, guard), "http://receiver.example.org"+port)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
	}
}

func TestAProxyIsAskedForNamesAndNotForAddressesInside(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(proxy.Close)
	where, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	c := client(t, New(Config{Proxy: where}))
	answer, err := get(t, c, "http://receiver.example.org/hook")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, answer.Status)
	require.Equal(t, "http://receiver.example.org/hook", asked.Load())
	_, err = get(t, c, "http://169.254.169.254/latest")
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "http://receiver.example.org/hook", asked.Load(), "nothing more was asked")
}

func TestProxySettingsOfTheEnvironmentAreNotRead(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	guard := New(Config{})
	guard.direct.Resolver = resolver(t, "10.0.0.5")
	_, err := get(t, client(t, guard), "http://receiver.example.org/")
	require.ErrorContains(t, err, "10.0.0.5")
}

func TestAnAnswerIsBoundedInSize(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/header" {
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxHeader))
			return
		}
		for range 3 {
			_, _ = w.Write(make([]byte, maxAnswer))
		}
	}))
	t.Cleanup(receiver.Close)
	c := client(t, New(loopback))
	answer, err := get(t, c, receiver.URL)
	require.NoError(t, err)
	require.Len(t, answer.Body, maxAnswer)
	_, err = get(t, c, receiver.URL+"/header")
	require.Error(t, err)
}

func TestAHostThatDoesNotAnswerEndsWithTheContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(receiver.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, receiver.URL+"/services/secret", http.NoBody)
	require.NoError(t, err)
	_, err = client(t, New(loopback)).Do(request)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, fmt.Sprintf("Post %s: no answer in time: context deadline exceeded", strings.TrimPrefix(receiver.URL, "http://")))
}

func TestAnErrorHoldsNothingOfAURLButItsHost(t *testing.T) {
	t.Parallel()
	for sentence, address := range map[string]string{
		"a path": "http://127.0.0.1:1/services/secret", "a query": "http://127.0.0.1:1/?key=secret", "a password": "http://user:secret@127.0.0.1:1/",
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := get(t, client(t, New(loopback)), address)
			require.ErrorContains(t, err, "127.0.0.1:1")
			require.NotContains(t, err.Error(), "secret")
		})
	}
	_, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://host/%zz-secret", http.NoBody)
	require.ErrorContains(t, err, "secret", "what the library says")
	require.NotContains(t, WithoutURL(err).Error(), "host/")
}

// resolver answers each lookup of an IPv4 address with the next of the addresses, the last of
// them for ever, and knows no IPv6 addresses.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			length, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if message.Unpack(buffer[:length]) != nil || len(message.Questions) != 1 {
				continue
			}
			message.Response, message.Additionals = true, nil
			if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addresses[0]).As4()},
				}}
				addresses = addresses[min(1, len(addresses)-1):]
			}
			if packed, err := message.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", server.LocalAddr().String())
	}}
}
