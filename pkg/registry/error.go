package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Class is what kind of failure keeps a digest from being known.
type Class = v1alpha1.Reason

// The classes.
const (
	// NotFound: the registry knows no such repository or tag.
	NotFound = v1alpha1.ReasonImageNotFound
	// Refused: the registry, or its token server, does not accept the credentials or the request.
	Refused = v1alpha1.ReasonRegistryRefused
	// RateLimited: the registry is asked nothing before Error.Until.
	RateLimited = v1alpha1.ReasonRateLimited
	// Unreachable: there was no answer, or one of a registry that is out of order.
	Unreachable = v1alpha1.ReasonRegistryUnreachable
	// InvalidAnswer: the answer names no digest, or is not understood.
	InvalidAnswer = v1alpha1.ReasonInvalidAnswer
)

// maxWords bounds what is kept of a registry's words, in bytes.
const maxWords = 300

// Error is why the digest of an image is not known. It holds no secret.
type Error struct {
	Class Class
	// Registry is the host that was asked.
	Registry string
	// Words say what happened, in the registry's own words where it has given any.
	Words string
	// Until is when the registry may be asked again, where Class is RateLimited.
	Until time.Time
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Registry, e.Words) }

// classOf returns the class of an answer's status.
func classOf(status int) Class {
	switch {
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		return Unreachable
	case status >= http.StatusBadRequest:
		return Refused
	}
	return InvalidAnswer
}

// errorOf returns the Error that a failed question is.
func errorOf(registry string, err error) *Error {
	var known *Error
	var answered *transport.Error
	var refused *outbound.RefusedError
	var unanswered *url.Error
	failure := &Error{Class: InvalidAnswer, Registry: registry, Words: clip.Text(err.Error(), maxWords)}
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answered):
		failure.Class, failure.Words = classOf(answered.StatusCode), statusWords(answered.StatusCode, answeredWords(answered))
	case errors.As(err, &refused):
		failure.Class, failure.Words = Unreachable, refused.Error()
	case errors.Is(err, outbound.ErrRedirect):
		failure.Words = clip.Text(outbound.WithoutURL(err).Error(), maxWords)
	case errors.Is(err, context.DeadlineExceeded):
		failure.Class, failure.Words = Unreachable, fmt.Sprintf("no answer within %s", CheckTimeout)
	case errors.As(err, &unanswered):
		failure.Class, failure.Words = Unreachable, clip.Text(outbound.WithoutURL(err).Error(), maxWords)
	case strings.HasPrefix(err.Error(), "no token in bearer response"): // the rest may hold a refresh token
		failure.Words = "the token server's answer holds no token"
	}
	return failure
}

// statusWords joins a status and what came with it.
func statusWords(status int, words string) string {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if words != "" {
		text += ": " + words
	}
	return text
}

// answeredWords are those of an answer that the library has read.
func answeredWords(answered *transport.Error) string {
	diagnostics := make([]diagnostic, 0, len(answered.Errors))
	for _, one := range answered.Errors {
		diagnostics = append(diagnostics, diagnostic{Code: string(one.Code), Message: one.Message})
	}
	if len(diagnostics) > 0 {
		return join(diagnostics)
	}
	_, body, _ := strings.Cut(answered.Error(), statusWords(answered.StatusCode, "")+": ")
	return wordsOf([]byte(body))
}

// diagnostic is one error of the OCI distribution specification ("error codes").
type diagnostic struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func join(diagnostics []diagnostic) string {
	var all []string
	for _, one := range diagnostics {
		all = append(all, strings.Trim(one.Code+": "+one.Message, ": "))
	}
	return printable(strings.Join(all, "; "))
}

// wordsOf returns what the body of an answer says; "" where it is a page for a browser.
func wordsOf(body []byte) string {
	var answer struct {
		Errors  []diagnostic `json:"errors"`
		Details string       `json:"details"`
		Message string       `json:"message"`
	}
	_ = json.Unmarshal(body, &answer) // what is no JSON has none of these
	switch text := strings.TrimSpace(string(body)); {
	case len(answer.Errors) > 0:
		return join(answer.Errors)
	case answer.Details != "" || answer.Message != "":
		return printable(answer.Message + answer.Details)
	case strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{"):
		return ""
	default:
		return printable(text)
	}
}

// printable is a text on one line, clipped.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return clip.Text(strings.Join(strings.Fields(text), " "), maxWords)
}
