package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/dashboard/session"
	"github.com/penstock-cd/penstock/server/oidc"
	"github.com/penstock-cd/penstock/test/issuer"
)

const (
	// published is the host at which browsers reach the dashboard.
	published  = "penstock.example.org"
	sessionKey = "0123456789abcdef0123456789abcdef"
)

// single is a dashboard with sign-in at an issuer.
type single struct {
	*scene

	issuer *issuer.Issuer
	claims map[string]any
}

// newSingle is one where ada is a member of a group of the test's own.
func newSingle(t *testing.T, environ ...string) *single {
	t.Helper()
	s := &single{claims: map[string]any{"sub": "ada-" + local.NewNamespace(t), "groups": []string{"readers-of-" + local.NewNamespace(t)}}}
	s.issuer = issuer.New(t, s.claims)
	all := map[string]string{
		"DASHBOARD_URL": "https://" + published, "DASHBOARD_SESSION_KEY": sessionKey, "OIDC_ISSUER_URL": s.issuer.URL, "OIDC_CA_FILE": s.issuer.CAFile,
		"OIDC_CLIENT_ID": issuer.ClientID, "OIDC_CLIENT_SECRET": issuer.ClientSecret, "OIDC_USERNAME_PREFIX": "-", "OIDC_GROUPS_CLAIM": "groups",
	}
	for i := 0; i < len(environ); i += 2 {
		all[environ[i]] = environ[i+1]
	}
	s.scene = newScene(t, options{environ: all})
	return s
}

func (s *single) user() string  { return s.claims["sub"].(string) }
func (s *single) group() string { return s.claims["groups"].([]string)[0] }

// settings are those of its provider.
func (s *single) settings(t *testing.T) string {
	t.Helper()
	names := oidc.Names{Issuer: s.issuer.URL, UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}
	provider, err := oidc.New(oidc.Config{Issuer: s.issuer.URL, ClientID: issuer.ClientID, Names: names})
	require.NoError(t, err)
	return provider.Settings()
}

// browser reaches the dashboard by its published name, and the issuer by its own.
func (s *single) browser(t *testing.T, base string) *browser {
	t.Helper()
	b, at := s.scene.browser(t, base), s.address
	transport := &http.Transport{DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == published+":443" {
			address = at
		}
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	b.client.Transport = transport
	there := *s.scene
	there.address = published
	b.scene = &there
	return b
}

// mayRead has the group read a namespace.
func (s *single) mayRead(t *testing.T, namespace string) {
	t.Helper()
	s.bind(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: s.group()}, "penstock-reader", namespace)
	what := authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "list", Resource: "cibuilds", Namespace: namespace}
	require.Eventually(t, func() bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "x", Groups: []string{s.group()}, ResourceAttributes: &what}}
		answered, err := s.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		return err == nil && answered.Status.Allowed
	}, patience, look)
}

func TestSignInAtAnIdentityProvider(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	mine, theirs := local.NewNamespace(t), local.NewNamespace(t)
	s.mayRead(t, mine)
	s.plan(t, mine, "b1", family(mine, "web"))
	b := s.browser(t, "")

	form := b.open(t, "/builds/"+mine)
	require.Equal(t, "/sign-in?next=%2Fbuilds%2F"+mine, form.address)
	link := "/sign-in/oidc?next=%2Fbuilds%2F" + mine
	require.Contains(t, form.text, `href="`+link+`"`)
	require.Contains(t, form.text, "Sign in at "+strings.TrimPrefix(s.issuer.URL, "https://"))
	shown := b.open(t, link)
	require.Equal(t, "/builds/"+mine, shown.address, "back to the page that was asked for")
	require.Equal(t, http.StatusOK, shown.status, shown.text)
	require.Contains(t, shown.text, s.user())
	require.Contains(t, s.log.String(), "person is signed in")
	require.NotContains(t, s.log.String(), "code=")

	denied := b.open(t, "/builds/"+theirs)
	require.Equal(t, http.StatusForbidden, denied.status, "a session has the rights of its groups, and no other")
	require.Contains(t, denied.text, "may not list cibuilds.penstock.dev in namespace "+theirs)
	require.Contains(t, s.get(t, "", "/api/v1/applications").detail(t, http.StatusUnauthorized), "no credentials", "the API takes no cookie")

	out := b.send(t, denied, "/sign-out")
	require.Contains(t, out.text, "You are signed out here")
	require.NotContains(t, out.text, "sign out there, too", "this issuer has no such page")
	require.Contains(t, b.open(t, "/").text, "<h1>Sign in</h1>")
}

func TestAPageOfAPersonIsLive(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	mine := local.NewNamespace(t)
	s.mayRead(t, mine)
	b := s.browser(t, "")
	b.open(t, "/sign-in/oidc")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+published+"/live/namespaces/"+mine+"/applications/shop/status", nil)
	require.NoError(t, err)
	response, err := b.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
}

func TestGroupsOfKubernetesGiveNobodyARight(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	s.issuer.Says(map[string]any{"sub": s.user(), "groups": []string{"system:masters", "system:nodes"}})
	b := s.browser(t, "")
	shown := b.open(t, "/sign-in/oidc?next=/builds/kube-system")
	require.Equal(t, http.StatusForbidden, shown.status)
	require.Contains(t, shown.text, "ask an administrator for that right")
	require.Contains(t, s.log.String(), `\"droppedGroups\"=2`)

	s.issuer.Says(map[string]any{"sub": "system:admin"})
	refused := s.browser(t, "").open(t, "/sign-in/oidc")
	require.Equal(t, http.StatusForbidden, refused.status)
	require.Contains(t, refused.text, "begins with system:")
	require.Contains(t, refused.text, "<h1>Sign in</h1>")
}

func TestARefusedSignInSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	b := s.browser(t, "")
	none := b.open(t, "/sign-in/callback?code=guessed-code&state=guessed")
	require.Equal(t, http.StatusBadRequest, none.status)
	require.Contains(t, none.text, "does not belong to a sign-in of this browser")
	require.Contains(t, none.text, `href="/sign-in/oidc"`)
	require.Equal(t, "no-store", strings.TrimPrefix(none.header.Get("Cache-Control"), "private, "))

	s.issuer.Forges(func(token *issuer.Token) { token.Key = issuer.NewKey(t) })
	forged := b.open(t, "/sign-in/oidc?next=/queue")
	require.Equal(t, http.StatusForbidden, forged.status)
	require.Contains(t, forged.text, "not valid for this dashboard")
	require.Contains(t, forged.text, `href="/sign-in/oidc?next=%2Fqueue"`, "again, to the same page")
	replayed := b.open(t, forged.address)
	require.Contains(t, replayed.text, "does not belong to a sign-in of this browser", "an answer counts once")
	s.issuer.Forges(nil)

	many := make([]string, 2000)
	for i := range many {
		many[i] = "group-" + local.NewNamespace(t)[:1] + url.QueryEscape(time.Unix(int64(i*7919), 0).String())
	}
	s.issuer.Says(map[string]any{"sub": s.user(), "groups": many})
	long := b.open(t, "/sign-in/oidc")
	require.Equal(t, http.StatusForbidden, long.status)
	require.Contains(t, long.text, "more groups at the identity provider than fit into a session")
	require.Contains(t, b.open(t, "/queue").address, "/sign-in", "nobody is signed in by any of these")
	for _, secret := range []string{"guessed-code", issuer.ClientSecret, strings.Split(strings.SplitAfter(forged.address, "code=")[1], "&")[0]} {
		require.NotContains(t, s.log.String(), secret)
	}
	require.Contains(t, s.log.String(), "state does not match")
}

func TestASignInLeadsToPagesOfTheDashboardAlone(t *testing.T) {
	t.Parallel()
	s := newSingle(t, "DASHBOARD_URL", "https://"+published+"/penstock", "DASHBOARD_BASE_PATH", "/penstock")
	for next, want := range map[string]string{
		"//evil.example": "/penstock/", "https://evil.example/": "/penstock/", `/\evil.example`: "/penstock/", "/%2F/evil.example": "/penstock/", "/../admin": "/penstock/", "/%2e%2e/admin": "/penstock/",
		"/.//evil.example": "/penstock/", "evil": "/penstock/", "javascript:alert(1)": "/penstock/", "/sign-in/oidc": "/penstock/", "/queue?state=Held": "/penstock/queue?state=Held",
	} {
		got := s.browser(t, "/penstock").open(t, "/penstock/sign-in/oidc?"+url.Values{"next": {next}}.Encode())
		require.Equal(t, want, got.address, next)
	}
}

func TestAServerStartsWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	s.issuer.Leaves(true)
	b := s.browser(t, "")
	away := b.open(t, "/sign-in/oidc")
	require.Equal(t, http.StatusServiceUnavailable, away.status)
	require.Equal(t, "5", away.header.Get("Retry-After"))
	require.Contains(t, away.text, "does not answer as it should, so that nobody can sign in there")
	require.Equal(t, http.StatusForbidden, b.send(t, away, "/sign-in", "token", s.nobody(t), "next", "/").status, "who has a token can sign in meanwhile")
	s.issuer.Leaves(false)
	s.issuer.Publishes("end_session_endpoint", s.issuer.URL+"/end")
	var shown page
	require.Eventually(t, func() bool {
		shown = b.open(t, "/sign-in/oidc?next=/settings")
		return shown.status == http.StatusOK
	}, patience, 200*time.Millisecond)
	require.Contains(t, shown.text, s.user())
	out := b.send(t, shown, "/sign-out")
	require.Contains(t, out.text, s.issuer.URL+"/end?client_id=penstock&amp;post_logout_redirect_uri=https%3A%2F%2F"+published+"%2Fsign-in")
}

func TestASessionOfAPersonEnds(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	b := s.browser(t, "")
	require.Equal(t, http.StatusOK, b.open(t, "/sign-in/oidc?next=/settings").status)
	site := &url.URL{Scheme: "https", Host: published}
	cookies := b.client.Jar.Cookies(site)

	ended := s.browser(t, "")
	ended.client.Jar.SetCookies(site, s.madeAt(t, time.Now().Add(-session.MaxPersonLifetime), cookies))
	shown := ended.open(t, "/settings")
	require.Equal(t, "/sign-in?ended=true&next=%2Fsettings", shown.address)
	require.Contains(t, shown.text, "Your session has ended")

	other := newSingle(t, "OIDC_USERNAME_PREFIX", "other:")
	elsewhere := other.browser(t, "")
	elsewhere.client.Jar.SetCookies(site, cookies)
	require.Equal(t, "/sign-in?ended=true&next=%2Fsettings", elsewhere.open(t, "/settings").address, "other settings would name them differently")
}

// madeAt are the cookies of a session that began at another time, with all else as in these.
func (s *single) madeAt(t *testing.T, at time.Time, cookies []*http.Cookie) []*http.Cookie {
	t.Helper()
	keeper := func(at time.Time) *session.Keeper {
		return session.New(session.Config{Key: func() []byte { return []byte(sessionKey) }, Path: "/", Lifetime: session.MaxPersonLifetime, Clock: clocktesting.NewFakePassiveClock(at)})
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	person, _ := keeper(time.Now()).Person(r, s.settings(t))
	require.NotNil(t, person)
	answer := httptest.NewRecorder()
	require.NoError(t, keeper(at).BeginAs(answer, r, *person))
	result := answer.Result()
	defer func() { _ = result.Body.Close() }()
	return result.Cookies()
}
