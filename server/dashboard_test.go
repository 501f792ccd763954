package server_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// browser is somebody who looks at the dashboard, without scripts.
type browser struct {
	*scene

	client *http.Client
	base   string
}

// page is what a browser was given.
type page struct {
	status  int
	header  http.Header
	text    string
	address string
}

func (s *scene) browser(t testing.TB, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := s.newClient(nil)
	client.Jar = jar
	return &browser{scene: s, client: client, base: base}
}

func (b *browser) open(t testing.TB, path string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.address+path, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/html,application/xhtml+xml")
	return b.do(t, request)
}

func (b *browser) do(t testing.TB, request *http.Request) page {
	t.Helper()
	response, err := b.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return page{status: response.StatusCode, header: response.Header, text: string(text), address: response.Request.URL.RequestURI()}
}

var formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// token is that of the forms of a page.
func (p page) token(t testing.TB) string {
	t.Helper()
	found := formToken.FindStringSubmatch(p.text)
	require.NotNil(t, found, p.text)
	return found[1]
}

// send sends a form of a page. Pairs are the other fields.
func (b *browser) send(t testing.TB, from page, path string, pairs ...string) page {
	t.Helper()
	form := url.Values{"csrf": {from.token(t)}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.sendForm(t, path, form)
}

func (b *browser) sendForm(t testing.TB, path string, form url.Values, headers ...string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.address+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return b.do(t, request)
}

// signIn opens a page and signs in where that asks for it.
func (b *browser) signIn(t testing.TB, token, path string) page {
	t.Helper()
	form := b.open(t, path)
	require.Equal(t, http.StatusOK, form.status)
	require.Contains(t, form.text, "<h1>Sign in</h1>")
	return b.send(t, form, b.base+"/sign-in", "token", token, "next", path[len(b.base):])
}

func TestSignInByToken(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	b := s.browser(t, "")

	form := b.open(t, "/?state=Failing")
	require.Equal(t, "/sign-in?next=%2F%3Fstate%3DFailing", form.address)
	wrong := b.send(t, form, "/sign-in", "token", "wrong", "next", "/")
	require.Equal(t, http.StatusUnauthorized, wrong.status)
	require.Contains(t, wrong.text, "the bearer token is not valid for this server")

	shown := b.send(t, wrong, "/sign-in", "token", token, "next", "/?state=OK")
	require.Equal(t, http.StatusOK, shown.status)
	require.Equal(t, "/?state=OK", shown.address, "back to the page that was asked for")
	require.NotContains(t, shown.text, token)

	require.Contains(t, b.send(t, shown, "/sign-out").text, "<h1>Sign in</h1>")
	require.Contains(t, b.open(t, "/").text, "<h1>Sign in</h1>")
	require.Equal(t, "/", b.signIn(t, token, "/").address)
	for _, next := range []string{"//evil.example", "https://evil.example/", `/\evil.example`, "evil"} {
		require.Equal(t, "/", b.send(t, b.open(t, "/sign-in"), "/sign-in", "token", token, "next", next).address, next)
	}
}

func TestAFormOfAnotherPageDoesNothing(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	b, other := s.browser(t, ""), s.browser(t, "")
	shown := b.signIn(t, token, "/")
	stranger := other.open(t, "/sign-in")
	for name, refused := range map[string]page{
		"without a token":                b.sendForm(t, "/sign-out", nil),
		"with the token of another":      b.sendForm(t, "/sign-out", url.Values{"csrf": {stranger.token(t)}}),
		"sent by another site":           b.sendForm(t, "/sign-out", url.Values{"csrf": {shown.token(t)}}, "Sec-Fetch-Site", "cross-site"),
		"sent by a site beside this one": b.sendForm(t, "/sign-out", url.Values{"csrf": {shown.token(t)}}, "Sec-Fetch-Site", "same-site"),
	} {
		require.Equal(t, http.StatusForbidden, refused.status, name)
		require.Contains(t, refused.text, "nothing was done", name)
	}
	require.Equal(t, http.StatusOK, b.open(t, "/").status, "still signed in")
}

func TestPagesAreGuarded(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	b := s.browser(t, "")
	shown := b.signIn(t, token, "/")
	policy := shown.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe")
	require.Equal(t, "DENY", shown.header.Get("X-Frame-Options"))
	require.Equal(t, "private, no-store", shown.header.Get("Cache-Control"))
	require.NotRegexp(t, `(?i)<[^>]+\s(style|on[a-z]+)=|<script>|<style>|(src|href)="(https?:)?//`, shown.text, "nothing inline, and nothing from elsewhere")

	missing := b.open(t, "/nowhere")
	require.Equal(t, http.StatusNotFound, missing.status)
	require.Contains(t, missing.text, "There is nothing here")
	denied := s.browser(t, "").signIn(t, s.nobody(t), "/")
	require.Equal(t, http.StatusForbidden, denied.status)
	require.Contains(t, denied.text, "ask an administrator for that right")
	require.Equal(t, http.StatusNotFound, s.get(t, token, "/nowhere").status)
	require.Contains(t, s.get(t, "", "/api/v1/applications").detail(t, http.StatusUnauthorized), "no credentials", "programs are told as before")
}

func TestStaticFilesAreKeptForever(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	b := s.browser(t, "")
	names := regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(b.open(t, "/sign-in").text, -1)
	require.Len(t, names, 3)
	for _, name := range names {
		file := b.open(t, name[1])
		require.Equal(t, http.StatusOK, file.status, name[1])
		require.Contains(t, file.header.Get("Cache-Control"), "immutable")
		require.NotEmpty(t, file.header.Get("Content-Type"))
	}
	require.Equal(t, http.StatusNotFound, b.open(t, "/static/style.css").status)
}

func TestPagesAreCompressed(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	got := s.send(t, s.client, http.MethodGet, "/sign-in", nil, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	require.Equal(t, "gzip", got.header.Get("Content-Encoding"))
	unzipped, err := gzip.NewReader(strings.NewReader(string(got.body)))
	require.NoError(t, err)
	text, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	require.Contains(t, string(text), "<h1>Sign in</h1>")
	for _, refused := range []string{"identity", "gzip;q=0"} {
		require.Empty(t, s.send(t, s.client, http.MethodGet, "/sign-in", nil, "Accept-Encoding", refused).header.Get("Content-Encoding"))
	}
}

func TestTheThemeIsChosenWithoutScripts(t *testing.T) {
	t.Parallel()
	b := newScene(t, options{}).browser(t, "")
	shown := b.open(t, "/sign-in?next=%2Fqueue")
	require.Contains(t, shown.text, `data-theme="auto"`)
	shown = b.send(t, shown, "/theme", "theme", "dark", "next", "/sign-in?next=%2Fqueue")
	require.Contains(t, shown.text, `data-theme="dark"`)
	require.Equal(t, "/sign-in?next=%2Fqueue", shown.address)
	require.Contains(t, b.send(t, shown, "/theme", "theme", "auto").text, `data-theme="auto"`)
}

func TestADashboardBehindABasePath(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{environ: map[string]string{"DASHBOARD_BASE_PATH": "/tools/penstock/"}})
	token := s.reader(t)
	b := s.browser(t, "/tools/penstock")
	shown := b.signIn(t, token, "/tools/penstock/")
	require.Equal(t, http.StatusOK, shown.status)
	require.Equal(t, "/tools/penstock/", shown.address)
	for _, link := range regexp.MustCompile(`(?:href|src|action)="([^"]+)"`).FindAllStringSubmatch(shown.text, -1) {
		require.True(t, link[1] == "#main" || strings.HasPrefix(link[1], "/tools/penstock/"), link[1])
	}
	stripped := s.browser(t, "").open(t, "/sign-in")
	require.Equal(t, http.StatusOK, stripped.status, "the proxy may strip the path")
	require.Contains(t, stripped.text, `action="/tools/penstock/sign-in"`)
	for _, path := range []string{"/api/v1/applications", "/openapi.json", "/readyz"} {
		require.Equal(t, http.StatusOK, s.get(t, token, "/tools/penstock"+path).status, "%s has the same URL as the dashboard", path)
		require.Equal(t, http.StatusOK, s.get(t, token, path).status, path)
	}
}

func TestTheDashboardIsSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{environ: map[string]string{"DASHBOARD": "false"}})
	shown := s.browser(t, "").open(t, "/sign-in")
	require.Equal(t, http.StatusUnauthorized, shown.status)
	require.Equal(t, "application/problem+json", shown.header.Get("Content-Type"))
}

func TestAnonymousPagesNeedARightAndShowNoAction(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{environ: map[string]string{"DASHBOARD_ANONYMOUS": "true"}})
	refused := s.browser(t, "").open(t, "/")
	require.Equal(t, http.StatusForbidden, refused.status)
	require.Contains(t, refused.text, "system:anonymous")
	require.NotContains(t, refused.text, "Sign out")
	require.NotContains(t, s.log.String(), "no credentials", "nobody was refused for that")
	require.Contains(t, s.get(t, "", "/api/v1/applications").detail(t, http.StatusUnauthorized), "no credentials", "the API stays closed")
}

func TestReplicasKnowEachOthersSessions(t *testing.T) {
	t.Parallel()
	one, two := newScene(t, options{}), newScene(t, options{})
	other := newScene(t, options{environ: map[string]string{"DASHBOARD_SESSION_KEY": "0123456789abcdef0123456789abcdef"}})
	b := one.browser(t, "")
	require.Equal(t, http.StatusOK, b.signIn(t, one.reader(t), "/").status)
	b.address = two.address // the cookies are those of the host, whatever the port
	require.Equal(t, "/", b.open(t, "/").address, "both have the key of the same CA")
	b.address = other.address
	require.Equal(t, "/sign-in?ended=true&next=%2F", b.open(t, "/").address)
}

func TestWhoseSessionHasEndedIsToldSoOnce(t *testing.T) {
	t.Parallel()
	key := "0123456789abcdef0123456789abcdef"
	s := newScene(t, options{environ: map[string]string{"DASHBOARD_SESSION_KEY": key}})
	picky := newScene(t, options{environ: map[string]string{"DASHBOARD_SESSION_KEY": key, "SERVER_TOKEN_AUDIENCES": "https://other.example"}})
	b := s.browser(t, "")
	b.signIn(t, s.reader(t), "/")
	b.address = picky.address // where the token is not valid

	script, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.address+"/queue", nil)
	require.NoError(t, err)
	script.Header.Set("Sec-Fetch-Dest", "empty")
	b.do(t, script)
	ended := b.open(t, "/queue")
	require.Equal(t, "/sign-in?ended=true&next=%2Fqueue", ended.address, "the page that was open before has not used up the notice")
	require.Contains(t, ended.text, "Your session has ended")
	require.NotContains(t, ended.text, "Sign out")
	require.Equal(t, "/sign-in?next=%2Fqueue", b.open(t, "/queue").address, "no cookie is left")
}

func TestANameThatIsNoneHasNoPage(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	b := s.browser(t, "")
	b.signIn(t, token, "/")
	for _, path := range []string{"/builds/%2e%2e", "/builds/%2e%2e/x", "/apps/%2e/x"} {
		missing := b.open(t, path)
		require.Equal(t, http.StatusNotFound, missing.status, path)
		require.Contains(t, missing.text, "There is no page at this address", path)
	}
}
