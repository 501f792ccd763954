package oidc

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/penstock-cd/penstock/pkg/clip"
)

// maxQuoted bounds how much of an answer is repeated in the log, in bytes.
const maxQuoted = 200

// RefusedError means that somebody is not signed in. Its text is for them.
type RefusedError struct {
	// Status is that of the page that shows it.
	Status int
	Detail string
	// Reason is for the log. It holds no token, code or secret.
	Reason error
}

// Error returns what the person is told.
func (e *RefusedError) Error() string { return e.Detail }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Reason }

func refuse(status int, detail string, reason error) error {
	return &RefusedError{Status: status, Detail: detail, Reason: reason}
}

// forbidf refuses for a reason that the person is told as well.
func forbidf(format string, values ...any) error {
	detail := fmt.Sprintf(format, values...)
	return refuse(http.StatusForbidden, detail, errors.New(detail))
}

// away is a refusal while the provider can't be asked.
func (p *Provider) away(reason error) error {
	return refuse(http.StatusServiceUnavailable, "The identity provider at "+p.host+" does not answer as it should, so that nobody can sign in there. Try again in a moment, or sign in with a token.", reason)
}

func clipped(text string) string { return clip.Text(text, maxQuoted) }
