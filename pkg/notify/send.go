package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/retryafter"
)

// Sender delivers messages to one receiver. It is safe for concurrent use.
type Sender interface {
	// Send delivers a message, or a newer version of one. Reference is what Send returned for
	// the version before, empty for the first; a sender that can updates that in place.
	//
	// The error is a *RefusedError where sending the same again would be refused again, and a
	// *LaterError where the receiver says when. After any other error it may be tried again,
	// and the message may have arrived.
	Send(ctx context.Context, message Message, reference string) (string, error)
}

// RefusedError is a receiver's final answer.
type RefusedError struct {
	// Words are the receiver's own, at most 500 bytes of one line.
	Words string
}

// Error implements error.
func (e *RefusedError) Error() string { return "refused: " + e.Words }

// LaterError is a receiver's answer to come back.
type LaterError struct {
	// After is how long to wait, at least a second and at most a day.
	After time.Duration
	Words string
}

// Error implements error.
func (e *LaterError) Error() string { return fmt.Sprintf("try again after %s: %s", e.After, e.Words) }

// Refuse returns a *RefusedError.
func Refuse(format string, a ...any) error {
	return &RefusedError{Words: oneLine(fmt.Sprintf(format, a...))}
}

const (
	// maxWords bounds what is kept of a receiver's answer, in bytes.
	maxWords = 500
	// minLater and maxLater bound what a receiver may ask for.
	minLater, maxLater = time.Second, 24 * time.Hour
)

// Fail wraps what ended a request that was not answered: a *RefusedError where the address may
// not be reached, or a redirect not be followed. Nothing of a URL is left in it but the host.
func Fail(what string, err error) error {
	err = outbound.WithoutURL(err)
	var refused *outbound.RefusedError
	if errors.As(err, &refused) {
		return Refuse("%s: %s", what, refused)
	}
	if errors.Is(err, outbound.ErrRedirect) {
		return Refuse("%s: %s", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Later returns a *LaterError.
func Later(after time.Duration, words string) error {
	return &LaterError{After: min(max(after, minLater), maxLater), Words: oneLine(words)}
}

// Judge returns the error that an answer over HTTP stands for, and nil for 2xx. 429 and 503
// say when (RFC 9110, 10.2.3), 408, 425 and other 5xx may be tried again, and everything else
// is final.
func Judge(answer outbound.Answer, now time.Time) error {
	words := fmt.Sprintf("%d %s: %s", answer.Status, http.StatusText(answer.Status), answer.Body)
	switch {
	case answer.Status >= 200 && answer.Status < 300:
		return nil
	case answer.Status == http.StatusTooManyRequests, answer.Status == http.StatusServiceUnavailable:
		return Later(retryafter.Parse(answer.Header.Get("Retry-After"), now, minLater, maxLater), words)
	case answer.Status == http.StatusRequestTimeout, answer.Status == http.StatusTooEarly, answer.Status >= 500:
		return fmt.Errorf("failed: %s", oneLine(words))
	}
	return Refuse("%s", words)
}

// oneLine makes foreign text fit for a condition, an event or a log.
func oneLine(text string) string {
	return clip.Text(strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " "), maxWords)
}
