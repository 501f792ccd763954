// Package identity finds out who sends a request: by a bearer token that the API server
// reviews, or by a client certificate of the cluster's CA. It writes nothing.
package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// authenticated is the group of everybody who is known.
const authenticated = "system:authenticated"

// User is who sends a request, as the API server knows them.
type User struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
	// Impersonator is who really sends the request; empty where that is the user.
	Impersonator string
}

// RefusedError means that the caller is not who they say, or may not act as they ask to.
// Its text is for the caller.
type RefusedError struct {
	// Status is 400, 401 or 403.
	Status int
	Detail string
	// User is who is refused, as far as known.
	User string
}

// Error returns what the caller is told.
func (e *RefusedError) Error() string { return e.Detail }

func unauthenticated(detail string) error {
	return &RefusedError{Status: http.StatusUnauthorized, Detail: detail}
}

// Allowed answers whether a user may do something. Its error means that nobody knows.
type Allowed func(ctx context.Context, user User, what authorizationv1.ResourceAttributes) (bool, error)

// Authenticator identifies callers. Its fields are required.
type Authenticator struct {
	Tokens       *Tokens
	Certificates *Certificates
	// Allowed reviews the verb impersonate.
	Allowed Allowed
}

// Identify returns who sends a request. A *RefusedError is for the caller; any other error
// means that the API server could not be asked.
func (a *Authenticator) Identify(r *http.Request) (User, error) {
	user, err := a.credentials(r)
	if err != nil {
		return User{}, err
	}
	return a.impersonate(r, user)
}

// IsGuess tells whether the token of a request may be a guess, about which the API server has to
// be asked.
func (a *Authenticator) IsGuess(r *http.Request) bool {
	token := bearer(r.Header.Get("Authorization"))
	return token != "" && a.Tokens.IsGuess(token)
}

// bearer is the token of an Authorization header; empty where the header has another form.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// credentials prefers the token, which a caller sends on purpose, to the session of the
// dashboard, which somebody has begun, and that to the certificate of the connection.
func (a *Authenticator) credentials(r *http.Request) (User, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		token := bearer(header)
		if token == "" {
			return User{}, unauthenticated("the Authorization header is not of the form `Bearer TOKEN`: send a token that the cluster's API server accepts")
		}
		return a.Tokens.Review(r.Context(), token)
	}
	if session, found := sessionOf(r.Context()); found {
		if session.Over() {
			return User{}, unauthenticated("the session has ended: sign in again")
		}
		return session.User, nil
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return a.Certificates.Verify(r.TLS.PeerCertificates)
	}
	return User{}, unauthenticated("the request has no credentials: send a bearer token that the cluster's API server accepts, or a client certificate of the cluster's CA")
}

type key struct{}

// With returns a context that knows the user.
func With(ctx context.Context, user User) context.Context {
	return context.WithValue(ctx, key{}, user)
}

// From returns the user of a context that With made.
func From(ctx context.Context) (User, error) {
	user, ok := ctx.Value(key{}).(User)
	if !ok {
		return User{}, errors.New("the request was not authenticated")
	}
	return user, nil
}

// String names the user in log lines.
func (u User) String() string {
	if u.Impersonator == "" {
		return u.Name
	}
	return fmt.Sprintf("%s (impersonated by %s)", u.Name, u.Impersonator)
}
