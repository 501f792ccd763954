package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
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
	transport := &http.Transport{}
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
	for name, refused := range map[string]func() (int, string){
		"the address works once":        func() (int, string) { return looked(t, other, address) },
		"another browser has no cookie": func() (int, string) { return looked(t, other, base+"/") },
		"a name that resolves to the machine": func() (int, string) {
			return looked(t, browser, base+"/", func(r *http.Request) { r.Host = "evil.example" })
		},
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
