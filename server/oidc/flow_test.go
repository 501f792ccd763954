package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/penstock-cd/penstock/test/issuer"
)

const back = "https://penstock.example.org/sign-in/callback"

// ada is who signs in.
func ada() map[string]any {
	return map[string]any{"sub": "1234", "email": "ada@example.org", "email_verified": true, "groups": []string{"developers"}}
}

type stand struct {
	*Provider

	issuer *issuer.Issuer
	clock  *clocktesting.FakePassiveClock
}

func newStand(t *testing.T, change ...func(*Config)) *stand {
	t.Helper()
	s := &stand{issuer: issuer.New(t, ada()), clock: clocktesting.NewFakePassiveClock(time.Now())}
	config := Config{
		Issuer: s.issuer.URL, ClientID: issuer.ClientID, Secret: issuer.ClientSecret, CAFile: s.issuer.CAFile, Scopes: []string{"openid", "groups"}, RedirectURL: back,
		Names: Names{Issuer: s.issuer.URL, UserClaim: "email", GroupsClaim: "groups"}, Clock: s.clock,
	}
	for _, one := range change {
		one(&config)
	}
	made, err := New(config)
	require.NoError(t, err)
	s.Provider = made
	return s
}

// visit goes to the provider as a browser does, and returns what it brings back.
func visit(t *testing.T, address string) url.Values {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	to, err := response.Location()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(to.String(), back+"?"))
	return to.Query()
}

// signIn goes the whole way. The changes are made before the browser is back.
func (s *stand) signIn(t *testing.T, changes ...func(*Flow, url.Values)) (SignedIn, error) {
	t.Helper()
	flow, address, err := s.Begin(t.Context(), "/queue")
	require.NoError(t, err)
	answer := visit(t, address)
	for _, change := range changes {
		change(&flow, answer)
	}
	return s.Finish(t.Context(), flow, answer)
}

func requireRefused(t *testing.T, err error, status int, detail, reason string) {
	t.Helper()
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.Status, refused.Detail)
	require.Contains(t, refused.Detail, detail)
	require.ErrorContains(t, refused.Reason, reason)
}

func TestWhoSignsInIsWhomTheirTokenNames(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	flow, address, err := s.Begin(t.Context(), "/queue")
	require.NoError(t, err)
	require.Equal(t, "/queue", flow.Next)
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	asked := parsed.Query()
	require.Equal(t, []string{"code", "S256", "openid groups", back}, []string{asked.Get("response_type"), asked.Get("code_challenge_method"), asked.Get("scope"), asked.Get("redirect_uri")})
	require.NotContains(t, address, flow.Verifier)
	require.NotContains(t, address, issuer.ClientSecret)

	answer := visit(t, address)
	signedIn, err := s.Finish(t.Context(), flow, answer)
	require.NoError(t, err)
	require.Equal(t, "ada@example.org", signedIn.User.Name)
	require.Equal(t, []string{"developers"}, signedIn.User.Groups)

	_, err = s.Finish(t.Context(), flow, answer)
	requireRefused(t, err, http.StatusForbidden, "can be used once", `status 400, "invalid_grant"`)
	require.NotContains(t, errors.Unwrap(err).Error(), answer.Get("code"), "what the provider repeats is not logged")
}

func TestAnAnswerThatIsNotOfThisFlowIsRefused(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		change         func(*Flow, url.Values)
		status         int
		detail, reason string
	}{
		"another state": {
			func(_ *Flow, answer url.Values) { answer.Set("state", "other") }, http.StatusBadRequest, "does not belong to a sign-in of this browser", "state does not match",
		},
		"no state, in a browser without a flow": {
			func(flow *Flow, answer url.Values) { *flow = Flow{}; answer.Del("state") }, http.StatusBadRequest, "does not belong", "state does not match",
		},
		"a flow that is over": {
			func(flow *Flow, _ url.Values) { flow.Ends = flow.Ends.Add(-FlowLifetime) }, http.StatusBadRequest, "longer than 10 minutes", "flow is over",
		},
		"an answer of another provider": {
			func(_ *Flow, answer url.Values) { answer.Set("iss", "https://evil.example") }, http.StatusBadRequest, "another identity provider", "evil.example",
		},
		"no code": {func(_ *Flow, answer url.Values) { answer.Del("code") }, http.StatusBadRequest, "has no code", "no code"},
		"a code that is too long": {
			func(_ *Flow, answer url.Values) { answer.Set("code", strings.Repeat("x", maxCode+1)) }, http.StatusBadRequest, "has no code", "no code",
		},
		"a code that the provider did not make": {
			func(_ *Flow, answer url.Values) { answer.Set("code", "guessed") }, http.StatusForbidden, "does not take the code", "invalid_grant",
		},
		"the verifier of another flow": {
			func(flow *Flow, _ url.Values) { flow.Verifier = strings.Repeat("v", 43) }, http.StatusForbidden, "does not take the code", "invalid_grant",
		},
		"the nonce of another flow": {
			func(flow *Flow, _ url.Values) { flow.Nonce = "other" }, http.StatusForbidden, "not valid for this dashboard", "nonce does not match",
		},
		"a refusal by the person": {
			func(_ *Flow, answer url.Values) { answer.Set("error", "access_denied") }, http.StatusForbidden, "does not let you in", "access_denied",
		},
		"a failure of the provider": {
			func(_ *Flow, answer url.Values) { answer.Set("error", "invalid_scope") }, http.StatusForbidden, "has not signed you in", "invalid_scope",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := newStand(t).signIn(t, test.change)
			requireRefused(t, err, test.status, test.detail, test.reason)
		})
	}
}

func TestATokenThatIsNotForThisClientOrNotOfThisProviderIsRefused(t *testing.T) {
	t.Parallel()
	foreign := issuer.NewKey(t)
	set := func(name string, value any) func(*issuer.Token) {
		return func(token *issuer.Token) { token.Claims[name] = value }
	}
	for sentence, test := range map[string]struct {
		forge  func(*issuer.Token)
		reason string
	}{
		"signed by another key":                 {func(token *issuer.Token) { token.Key = foreign }, "verify signature"},
		"signed by another key of another name": {func(token *issuer.Token) { token.Key, token.KeyID = foreign, "other" }, "verify signature"},
		"not signed":                            {func(token *issuer.Token) { token.Key = nil }, "malformed jwt"},
		"for another client":                    {set("aud", "other"), "expected audience"},
		"for several clients, given to another one": {func(token *issuer.Token) {
			token.Claims["aud"], token.Claims["azp"] = []string{"other", issuer.ClientID}, "other"
		}, `is for "other"`},
		"for several clients, given to nobody": {set("aud", []string{"other", issuer.ClientID}), `is for ""`},
		"of another issuer":                    {set("iss", "https://evil.example"), "different provider"},
		"that has expired":                     {set("exp", time.Now().Add(-time.Minute).Unix()), "expired"},
		"that does not count yet":              {set("nbf", time.Now().Add(time.Hour).Unix()), "not before"},
		"with another nonce":                   {set("nonce", "other"), "nonce does not match"},
		"without a nonce":                      {func(token *issuer.Token) { delete(token.Claims, "nonce") }, "nonce does not match"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.issuer.Forges(test.forge)
			_, err := s.signIn(t)
			requireRefused(t, err, http.StatusForbidden, "not valid for this dashboard", test.reason)
			s.issuer.Forges(nil)
			_, err = s.signIn(t)
			require.NoError(t, err, "the same issuer without the change")
		})
	}
	s := newStand(t)
	s.issuer.Forges(func(token *issuer.Token) {
		token.Claims["aud"], token.Claims["azp"] = []string{"other", issuer.ClientID}, issuer.ClientID
	})
	_, err := s.signIn(t)
	require.NoError(t, err, "for several clients, given to this one")
}

func TestTheProviderMayComeAndGoAndChangeItsKeys(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.issuer.Leaves(true)
	_, _, err := s.Begin(t.Context(), "/")
	requireRefused(t, err, http.StatusServiceUnavailable, "does not answer as it should", "503")
	asked := s.issuer.Asked("/.well-known/openid-configuration")
	_, _, err = s.Begin(t.Context(), "/")
	requireRefused(t, err, http.StatusServiceUnavailable, "sign in with a token", "503")
	require.Equal(t, asked, s.issuer.Asked("/.well-known/openid-configuration"), "it is left alone for a moment")

	s.issuer.Leaves(false)
	s.clock.SetTime(s.clock.Now().Add(discoveryRetry))
	_, err = s.signIn(t)
	require.NoError(t, err)
	require.Equal(t, asked+1, s.issuer.Asked("/.well-known/openid-configuration"), "asked once for all sign-ins")
	s.issuer.Rotate()
	_, err = s.signIn(t)
	require.NoError(t, err, "a new key is looked for at once")

	flow, address, err := s.Begin(t.Context(), "/")
	require.NoError(t, err)
	answer := visit(t, address)
	s.issuer.Leaves(true)
	_, err = s.Finish(t.Context(), flow, answer)
	requireRefused(t, err, http.StatusServiceUnavailable, "Try again in a moment", "status 503")
	s.clock.SetTime(s.clock.Now().Add(discoveryTTL))
	_, _, err = s.Begin(t.Context(), "/")
	require.NoError(t, err, "what it has published counts on while it is away")
	s.issuer.Leaves(false)
	s.issuer.Publishes("end_session_endpoint", s.issuer.URL+"/end?a=b")
	require.Empty(t, s.SignOutURL(t.Context(), back))
	s.clock.SetTime(s.clock.Now().Add(discoveryRetry))
	require.Equal(t, s.issuer.URL+"/end?a=b&client_id=penstock&post_logout_redirect_uri=https%3A%2F%2Fpenstock.example.org%2F", s.SignOutURL(t.Context(), "https://penstock.example.org/"))
}

func TestSettingsOfAProviderThatCanNotBeUsedAreTold(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Issuer: "https://sso.example.org", CAFile: "/nowhere/ca.crt"})
	require.ErrorContains(t, err, "OIDC_CA_FILE: open /nowhere/ca.crt")
	s := newStand(t, func(c *Config) { c.Secret = "wrong" })
	_, err = s.signIn(t)
	requireRefused(t, err, http.StatusBadGateway, "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET must be those of the provider", `status 401, "invalid_client"`)

	for sentence, test := range map[string]struct {
		name   string
		value  any
		reason string
	}{
		"another issuer":                 {"issuer", "https://evil.example", "did not match the issuer"},
		"a token endpoint without TLS":   {"token_endpoint", "http://sso.example.org/token", "an endpoint is not https"},
		"keys without TLS":               {"jwks_uri", "http://sso.example.org/keys", "an endpoint is not https"},
		"a document that never ends":     {"padding", strings.Repeat("x", maxAnswer), "too large"},
		"an address that is none at all": {"authorization_endpoint", "", "an endpoint is not https"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.issuer.Publishes(test.name, test.value)
			_, _, err := s.Begin(t.Context(), "/")
			requireRefused(t, err, http.StatusServiceUnavailable, "does not answer as it should", test.reason)
		})
	}
}

func TestNobodyWaitsForAProviderForever(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := newStand(t).Begin(ctx, "/")
	requireRefused(t, err, http.StatusServiceUnavailable, "does not answer", "context canceled")
}
