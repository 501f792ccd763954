package session

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"
)

// longToken does not fit into one cookie.
var longToken = randomToken(9000)

// randomToken is one of so many bytes, encoded, that can't be compressed.
func randomToken(size int) string {
	random := make([]byte, size)
	_, _ = rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

// browser keeps cookies as a browser does.
type browser map[string]*http.Cookie

func (b browser) take(answer *httptest.ResponseRecorder) {
	result := answer.Result()
	defer func() { _ = result.Body.Close() }()
	for _, cookie := range result.Cookies() {
		if b[cookie.Name] = cookie; cookie.MaxAge < 0 {
			delete(b, cookie.Name)
		}
	}
}

func (b browser) sends(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range b {
		r.AddCookie(cookie)
	}
	return r
}

func keeper(clock *clocktesting.FakePassiveClock, key string) *Keeper {
	return New(Config{Key: func() []byte { return []byte(key) }, Path: "/penstock", Lifetime: time.Hour, Clock: clock})
}

func (b browser) signIn(t *testing.T, k *Keeper, token string) {
	t.Helper()
	answer := httptest.NewRecorder()
	require.NoError(t, k.Begin(answer, b.sends(nil), token))
	b.take(answer)
}

func TestASession(t *testing.T) {
	t.Parallel()
	began := time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		token  string
		change func(b browser, clock *clocktesting.FakePassiveClock)
		key    string
		want   string
	}{
		"holds the token": {token: "short", key: "a", want: "short"},
		"holds a token that is longer than a cookie":               {token: longToken, key: "a", want: longToken},
		"is of no use to a server with another key":                {token: "short", key: "b"},
		"ends after its lifetime":                                  {token: "short", key: "a", change: func(_ browser, clock *clocktesting.FakePassiveClock) { clock.SetTime(began.Add(time.Hour)) }},
		"ends when a cookie was changed":                           {token: "short", key: "a", change: func(b browser, _ *clocktesting.FakePassiveClock) { b[name+"0"].Value = b[name+"0"].Value[1:] }},
		"ends when one of its cookies is missing":                  {token: longToken, key: "a", change: func(b browser, _ *clocktesting.FakePassiveClock) { delete(b, name+"1") }},
		"is nobody's where the cookie is empty, as after sign-out": {token: "short", key: "a", change: func(b browser, _ *clocktesting.FakePassiveClock) { clear(b) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, b := clocktesting.NewFakePassiveClock(began), browser{}
			b.signIn(t, keeper(clock, "a"), test.token)
			if test.change != nil {
				test.change(b, clock)
			}
			require.Equal(t, test.want, keeper(clock, test.key).Token(b.sends(nil)))
		})
	}
}

func TestCookiesOfASessionAreOutOfReach(t *testing.T) {
	t.Parallel()
	k, b := keeper(clocktesting.NewFakePassiveClock(time.Now()), "key"), browser{}
	b.signIn(t, k, longToken)
	require.Greater(t, len(b), 2)
	for _, cookie := range b {
		require.True(t, cookie.Secure && cookie.HttpOnly)
		require.Equal(t, http.SameSiteLaxMode, cookie.SameSite, "a link from elsewhere opens its page")
		require.Equal(t, "/penstock", cookie.Path)
		require.Less(t, len(cookie.String()), 4096)
		require.NotContains(t, cookie.Value, longToken[:16])
	}
	b.signIn(t, k, "short")
	require.Len(t, b, 1, "a shorter session leaves nothing of a longer one behind")
	require.Equal(t, "short", k.Token(b.sends(nil)))
	answer := httptest.NewRecorder()
	k.End(answer, b.sends(nil))
	b.take(answer)
	require.Empty(t, b)
	require.ErrorIs(t, k.Begin(httptest.NewRecorder(), b.sends(nil), randomToken(25000)), ErrTooLong)
}

func TestAFormCountsOnlyInTheBrowserAndSessionThatItWasMadeFor(t *testing.T) {
	t.Parallel()
	k, b, other := keeper(clocktesting.NewFakePassiveClock(time.Now()), "key"), browser{}, browser{}
	page := func(b browser) url.Values {
		answer := httptest.NewRecorder()
		token := k.FormToken(answer, b.sends(nil))
		b.take(answer)
		return url.Values{FormField: {token}}
	}
	form, others := page(b), page(other)
	require.Equal(t, http.SameSiteLaxMode, b[name+formCookie].SameSite, "a link from elsewhere leaves the forms of other tabs valid")
	require.True(t, k.IsForm(b.sends(form)))
	require.Equal(t, form, page(b), "all forms of a browser have one token")
	require.False(t, k.IsForm(b.sends(others)))
	require.False(t, k.IsForm(b.sends(nil)))
	require.False(t, k.IsForm(browser{}.sends(form)))
	b.signIn(t, k, "token")
	require.False(t, k.IsForm(b.sends(form)), "a page from before the sign-in")
	require.True(t, k.IsForm(b.sends(page(b))))
}

func TestAnotherKeyEndsAllSessionsAtOnce(t *testing.T) {
	t.Parallel()
	key, b := "", browser{}
	k := New(Config{Key: func() []byte { return []byte(key) }, Path: "/", Lifetime: time.Hour, Clock: clocktesting.NewFakePassiveClock(time.Now())})
	require.ErrorContains(t, k.Begin(httptest.NewRecorder(), b.sends(nil), "token"), "no key")
	require.False(t, k.IsForm(b.sends(url.Values{FormField: {""}})))
	key = "one"
	b.signIn(t, k, "token")
	require.Equal(t, "token", k.Token(b.sends(nil)))
	key = "two"
	require.Empty(t, k.Token(b.sends(nil)))
	key = "one"
	require.Equal(t, "token", k.Token(b.sends(nil)))
}
