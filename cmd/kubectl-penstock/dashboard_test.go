package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// openDashboard runs the command, and returns its address and what ends it.
func openDashboard(t *testing.T, p plugin) (address string, interrupt func() int) {
	t.Helper()
	out, printed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"dashboard", "--kubeconfig", p.kubeconfig}, printed, io.Discard)
		_ = printed.Close()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(address), func() int { cancel(); return <-ended }
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port) // as browsers find *.localhost
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: patience}
}

// looked is the status and the text of a page.
func looked(t *testing.T, browser *http.Client, address string, change ...func(*http.Request)) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/html")
	for _, one := range change {
		one(request)
	}
	response, err := browser.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

func TestTheDashboardOpensOnceWithTheKubeconfigsCredentials(t *testing.T) {
	t.Parallel()
	address, interrupt := openDashboard(t, person(t, true))
	browser, other := newBrowser(t), newBrowser(t)
	status, text := looked(t, browser, address)
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, "shop", "the applications of the user")
	require.NotContains(t, text, "Sign out", "there is no session to end")

	parsed, err := url.Parse(address)
	require.NoError(t, err)
	base := "http://" + parsed.Host
	status, text = looked(t, browser, base+"/apps/default/shop")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "What is deployed where")
	for _, cookie := range browser.Jar.Cookies(parsed) {
		require.Equal(t, doorCookie, cookie.Name, "the server's cookies stay in the command")
	}
	require.Empty(t, browser.Jar.Cookies(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}), "programs at other ports are sent nothing")
	hosted := func(host string) func() (int, string) {
		return func() (int, string) {
			return looked(t, browser, base+"/", func(r *http.Request) { r.Host = host })
		}
	}
	for name, refused := range map[string]func() (int, string){
		"the address works once":              func() (int, string) { return looked(t, other, address) },
		"another browser has no cookie":       func() (int, string) { return looked(t, other, base+"/") },
		"a name that resolves to the machine": hosted("evil.example"),
		"the machine's address":               hosted("127.0.0.1:" + parsed.Port()),
		"the machine's name":                  hosted("localhost:" + parsed.Port()),
		"another name of the machine":         hosted("other.localhost:" + parsed.Port()),
		"the API, which pages do not need":    func() (int, string) { return looked(t, browser, base+"/api/v1/applications") },
		"the API, escaped":                    func() (int, string) { return looked(t, browser, base+"/%61pi%2Fv1/applications") },
		"the API, by a way around":            func() (int, string) { return looked(t, browser, base+"/queue/../api/v1/applications") },
	} {
		status, _ := refused()
		require.Equal(t, http.StatusForbidden, status, name)
	}
	form := url.Values{"theme": {"dark"}, "csrf": {formTokenOf(t, text)}, "next": {"/queue"}}
	sent, err := browser.PostForm(base+"/theme", form)
	require.NoError(t, err)
	defer func() { _ = sent.Body.Close() }()
	content, err := io.ReadAll(sent.Body)
	require.NoError(t, err)
	require.Contains(t, string(content), `data-theme="dark"`, "forms work")
	require.Zero(t, interrupt())
}

func formTokenOf(t *testing.T, page string) string {
	t.Helper()
	_, after, found := strings.Cut(page, `name="csrf" value="`)
	require.True(t, found)
	token, _, _ := strings.Cut(after, `"`)
	return token
}

func TestTheDashboardListensAtEveryLoopbackAddress(t *testing.T) {
	t.Parallel()
	listeners, err := listenHere(0)
	require.NoError(t, err)
	defer closeAll(listeners)
	_, port, err := net.SplitHostPort(listeners[0].Addr().String())
	require.NoError(t, err)
	hosts := []string{"127.0.0.1"}
	if hasIPv6Loopback() {
		hosts = append(hosts, "::1")
	}
	for i, host := range hosts {
		require.Equal(t, net.JoinHostPort(host, port), listeners[i].Addr().String())
		_, err := net.Listen("tcp", net.JoinHostPort(host, port))
		require.Error(t, err, "another program can't listen there")
	}
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	_, err = listenHere(number)
	require.ErrorContains(t, err, "listen on this machine")
}
