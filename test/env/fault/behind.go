package fault

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"k8s.io/client-go/rest"
)

// behind is the server that a proxy stands before.
type behind struct {
	proxy     *httputil.ReverseProxy
	transport *http.Transport
}

// newBehind passes requests on to a server, with another token where one is given. What comes is
// passed on as it comes: neither side's compression is undone.
func (s *APIServer) newBehind(server *rest.Config, token string) (*behind, error) {
	target, err := url.Parse(server.Host)
	if err != nil {
		return nil, err
	}
	settings, err := rest.TLSConfigFor(server)
	if err != nil {
		return nil, err
	}
	b := &behind{transport: &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DisableCompression: true}}
	b.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if token != "" {
				r.Out.Header.Set("Authorization", "Bearer "+token)
			}
		},
		Transport:      b.transport,
		FlushInterval:  -1, // events are passed on as they come
		ModifyResponse: s.disturbEvents,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	return b, nil
}

// Become has the proxy stand before another server from now on, and cuts every connection, as
// where an address fails over. Requests carry the token of the configuration in place of
// their own.
func (s *APIServer) Become(server *rest.Config) error {
	if err := s.Swap(server); err != nil {
		return err
	}
	s.server.CloseClientConnections()
	return nil
}

// Swap is Become for a proxy that keeps connections and passes the next request to the other
// server.
func (s *APIServer) Swap(server *rest.Config) error {
	next, err := s.newBehind(server, server.BearerToken)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.behind
	s.behind = next
	s.mu.Unlock()
	before.transport.CloseIdleConnections()
	return nil
}

func (s *APIServer) now() *behind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind
}
