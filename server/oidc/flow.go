package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/penstock-cd/penstock/server/identity"
)

// FlowLifetime is how long somebody may take to sign in at the provider.
const FlowLifetime = 10 * time.Minute

// signInTimeout bounds what is asked of the provider while a browser waits: it is below the time
// that the server has for an answer. signOutTimeout is how long a sign-out waits for a provider that has not been asked yet.
const signInTimeout, signOutTimeout = 20 * time.Second, 2 * time.Second

// maxCode bounds the code that a browser brings back.
const maxCode = 4096

// Flow is a sign-in that is under way. The browser keeps it, encrypted, and the provider's answer
// counts in that browser alone.
type Flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Next     string    `json:"p"` // the page to go to
	Ends     time.Time `json:"e"`
}

// Begin returns a new flow, and the address of the provider that the browser goes to. A
// *RefusedError is for the person who signs in.
func (p *Provider) Begin(ctx context.Context, next string) (Flow, string, error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	known, err := p.discover(ctx)
	if err != nil {
		return Flow{}, "", p.away(err)
	}
	flow := Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next, Ends: p.config.Clock.Now().Add(FlowLifetime)}
	return flow, known.oauth.AuthCodeURL(flow.State, oidc.Nonce(flow.Nonce), oauth2.S256ChallengeOption(flow.Verifier)), nil
}

// SignedIn is somebody whom the provider knows.
type SignedIn struct {
	User identity.User
	// Dropped is how many groups were left out, since their names are Kubernetes' own.
	Dropped int
}

// Finish returns who has signed in, by what the provider had the browser bring back. A
// *RefusedError is for the person who signs in; no other error is returned.
func (p *Provider) Finish(ctx context.Context, flow Flow, answer url.Values) (SignedIn, error) {
	if err := p.check(flow, answer); err != nil {
		return SignedIn{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	known, err := p.discover(ctx)
	if err != nil {
		return SignedIn{}, p.away(err)
	}
	token, err := p.exchange(ctx, known, flow, answer.Get("code"))
	if err != nil {
		return SignedIn{}, err
	}
	of, err := p.verify(ctx, known, flow, token)
	if err != nil {
		return SignedIn{}, err
	}
	user, dropped, err := p.config.Names.user(of)
	return SignedIn{User: user, Dropped: dropped}, err
}

// check refuses an answer that is not the one that this browser waits for.
func (p *Provider) check(flow Flow, answer url.Values) error {
	if flow.State == "" || subtle.ConstantTimeCompare([]byte(flow.State), []byte(answer.Get("state"))) != 1 {
		return refuse(http.StatusBadRequest, "The answer of the identity provider does not belong to a sign-in of this browser. Sign in again, in one window.", errors.New("state does not match"))
	}
	if !p.config.Clock.Now().Before(flow.Ends) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("The sign-in took longer than %d minutes. Sign in again.", FlowLifetime/time.Minute), errors.New("flow is over"))
	}
	if issuer := answer.Get("iss"); issuer != "" && issuer != p.config.Issuer { // RFC 9207
		return refuse(http.StatusBadRequest, "The answer comes from another identity provider than the one that was asked. Sign in again, and tell an administrator if it happens again.", fmt.Errorf("answer is of issuer %q", clipped(issuer)))
	}
	if code := answer.Get("error"); code != "" {
		detail := "The identity provider has not signed you in. Sign in again, or ask an administrator: the server's log has the reason."
		if code == "access_denied" {
			detail = "The identity provider does not let you in: it, or you, have refused access to Penstock. Sign in again, or ask its administrator for access."
		}
		return refuse(http.StatusForbidden, detail, fmt.Errorf("provider answers %q: %q", clipped(code), clipped(answer.Get("error_description"))))
	}
	if code := answer.Get("code"); code == "" || len(code) > maxCode {
		return refuse(http.StatusBadRequest, "The answer of the identity provider has no code. Sign in again.", errors.New("no code"))
	}
	return nil
}

// exchange trades the code for an ID token.
func (p *Provider) exchange(ctx context.Context, known *published, flow Flow, code string) (string, error) {
	select {
	case p.exchanges <- struct{}{}:
		defer func() { <-p.exchanges }()
	default:
		return "", refuse(http.StatusServiceUnavailable, "Too many people sign in at this moment. Sign in again in a few seconds.", errors.New("too many exchanges at once"))
	}
	tokens, err := known.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, known.client), code, oauth2.VerifierOption(flow.Verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError {
		// Not the whole error: the body of the answer may repeat what is secret.
		why := fmt.Errorf("provider does not take the code: status %d, %q", refused.Response.StatusCode, clipped(refused.ErrorCode))
		if refused.ErrorCode == "invalid_client" || refused.ErrorCode == "unauthorized_client" {
			return "", refuse(http.StatusBadGateway, "The identity provider does not take the dashboard for its client. Tell an administrator: OIDC_CLIENT_ID and OIDC_CLIENT_SECRET must be those of the provider.", why)
		}
		return "", refuse(http.StatusForbidden, "The identity provider does not take the code any more: it can be used once, for a short time. Sign in again.", why)
	}
	if err != nil {
		return "", p.away(withoutBody(err))
	}
	token, _ := tokens.Extra("id_token").(string)
	if token == "" {
		return "", refuse(http.StatusBadGateway, "The identity provider has sent no ID token. Tell an administrator: it must be an OpenID Connect provider, and OIDC_SCOPES must have openid.", errors.New("no ID token"))
	}
	return token, nil
}

// withoutBody leaves out the body of an answer.
func withoutBody(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		return fmt.Errorf("exchange code: status %d", refused.Response.StatusCode)
	}
	return fmt.Errorf("exchange code: %w", err)
}

// verify returns the claims of an ID token of the provider's, for this client and this flow.
func (p *Provider) verify(ctx context.Context, known *published, flow Flow, token string) (claims, error) {
	const detail = "The identity provider has sent an ID token that is not valid for this dashboard. Sign in again, and tell an administrator if it happens again: the server's log has the reason."
	verified, err := known.verifier.Verify(oidc.ClientContext(ctx, known.client), token)
	if err != nil && strings.Contains(err.Error(), "fetching keys") { // go-oidc has no type for it
		return nil, p.away(err)
	}
	if err != nil {
		return nil, refuse(http.StatusForbidden, detail, err)
	}
	if subtle.ConstantTimeCompare([]byte(flow.Nonce), []byte(verified.Nonce)) != 1 {
		return nil, refuse(http.StatusForbidden, detail, errors.New("nonce does not match"))
	}
	var party struct {
		Authorized string `json:"azp"`
	}
	of := claims{}
	if err := cmp.Or(verified.Claims(&party), verified.Claims(&of)); err != nil {
		return nil, refuse(http.StatusForbidden, detail, fmt.Errorf("read claims: %w", err))
	}
	if len(verified.Audience) > 1 && party.Authorized != p.config.ClientID {
		return nil, refuse(http.StatusForbidden, detail, fmt.Errorf("token of several audiences is for %q", clipped(party.Authorized)))
	}
	return of, nil
}

// SignOutURL is where somebody ends their session at the provider, and comes back from to a page
// of the dashboard; empty where the provider has no such place, or does not answer at once.
func (p *Provider) SignOutURL(ctx context.Context, back string) string {
	ctx, cancel := context.WithTimeout(ctx, signOutTimeout)
	defer cancel()
	known, err := p.discover(ctx)
	if err != nil || known.endSession == "" {
		return ""
	}
	address, err := url.Parse(known.endSession)
	if err != nil {
		return ""
	}
	query := address.Query()
	query.Set("client_id", p.config.ClientID)
	query.Set("post_logout_redirect_uri", back)
	address.RawQuery = query.Encode()
	return address.String()
}
