package identity

import (
	"context"
	"net/http"
)

// Session is of somebody who has signed in to the dashboard at an identity provider, and has no
// token that the API server knows.
type Session struct {
	User User
	// Over tells whether it has ended. Streams outlive the request that opened them.
	Over func() bool
}

type sessionKey struct{}

// WithSession returns a request that Identify takes for one of the session's user, unless it
// has an Authorization header.
func WithSession(r *http.Request, session Session) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), sessionKey{}, session))
}

// HasSession tells whether WithSession made the request.
func HasSession(r *http.Request) bool {
	_, found := sessionOf(r.Context())
	return found
}

func sessionOf(ctx context.Context) (Session, bool) {
	session, found := ctx.Value(sessionKey{}).(Session)
	return session, found
}

// Known returns a user with the group of everybody who is known.
func Known(user User) User {
	user.Groups = append(append([]string{}, user.Groups...), authenticated)
	return user
}
