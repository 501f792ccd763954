package product

import "net/http"

// RoundTripper is a function that is an http.RoundTripper, for Options.Wrap.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r RoundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
