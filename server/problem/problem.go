// Package problem makes the errors that `penstock server` answers with: problem details
// as of RFC 9457.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// New is an error with an HTTP status. The detail names the object, what happened, why,
// and what to do. It is shown to the caller.
func New(status int, detail string) error { return huma.NewError(status, detail) }

// Later is New with a Retry-After header, in whole seconds, at least one.
func Later(status int, after time.Duration, detail string) error {
	seconds := max(int64(after.Round(time.Second)/time.Second), 1)
	return huma.ErrorWithHeaders(New(status, detail), http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}})
}

// Status is the HTTP status of an error, 500 where it has none.
func Status(err error) int {
	var known huma.StatusError
	if errors.As(err, &known) {
		return known.GetStatus()
	}
	return http.StatusInternalServerError
}

// Detail is what the caller is told of an error. What is not made by this package is not
// for them.
func Detail(err error) string {
	var known huma.StatusError
	if errors.As(err, &known) {
		return known.Error()
	}
	return "the server failed; its log has the reason"
}

// RetryAfter is after how many seconds a caller may try again; empty where nobody knows.
func RetryAfter(err error) string {
	var headers huma.HeadersError
	if errors.As(err, &headers) {
		return headers.GetHeaders().Get("Retry-After")
	}
	return ""
}

// Write answers a request with an error.
func Write(w http.ResponseWriter, err error) {
	var headers huma.HeadersError
	if errors.As(err, &headers) {
		for name, values := range headers.GetHeaders() {
			w.Header()[name] = values
		}
	}
	status := Status(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: Detail(err)})
}

// Unread prepares the answer to a request whose body is not read to its end. Over HTTP/1.1 the
// connection ends with the answer; over HTTP/2 that would cut off the answer, and the stream
// ends anyway.
func Unread(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}
