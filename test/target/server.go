// Package target is the API server of a target cluster in miniature, over TLS: it answers
// probes and lists what a test gives it, and misbehaves as the test wants.
package target

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Token is the one that the server accepts.
const Token = "target-token-hunter2"

// Version is the one that the server tells.
const Version = "v1.37.2"

// Server is the API server of one cluster, or of as many as have its kubeconfig. Its
// methods are safe for concurrent use.
type Server struct {
	*httptest.Server
	end chan struct{}

	mu       sync.Mutex
	token    string
	denied   map[string]bool
	answers  map[string]http.HandlerFunc
	instead  http.HandlerFunc
	requests []string
	active   int
	peak     int
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{end: make(chan struct{}), token: Token, denied: map[string]bool{}, answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(func() {
		close(s.end)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Host is the server's host and port.
func (s *Server) Host() string { return s.Listener.Addr().String() }

// CA is the certificate of the server, which has signed itself, in PEM form.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// Kubeconfig reaches the server with Token, but for what is changed.
func (s *Server) Kubeconfig(t testing.TB, changes ...func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)) []byte {
	t.Helper()
	cluster := &clientcmdapi.Cluster{Server: s.URL, CertificateAuthorityData: s.CA()}
	user := &clientcmdapi.AuthInfo{Token: Token}
	for _, change := range changes {
		change(cluster, user)
	}
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"target": cluster},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"target": user},
		Contexts:       map[string]*clientcmdapi.Context{"target": {Cluster: "target", AuthInfo: "target"}},
		CurrentContext: "target",
	})
	require.NoError(t, err)
	return text
}

// Accept has the server accept another token from now on.
func (s *Server) Accept(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Deny has access reviews of these resources, such as pods, be answered with no.
func (s *Server) Deny(resources ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = map[string]bool{}
	for _, resource := range resources {
		s.denied[resource] = true
	}
}

// Handle answers requests for a path.
func (s *Server) Handle(path string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = answer
}

// Instead answers every request, whatever its credentials; nil ends that.
func (s *Server) Instead(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = answer
}

// Requests are the paths, with queries, that were asked for since the last call of Reset.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.requests...)
}

// Reset forgets requests and the peak.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.peak = nil, s.active
}

// Peak is how many requests were under way at once.
func (s *Server) Peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.URL.RequestURI())
	s.active++
	s.peak = max(s.peak, s.active)
	answer, token := s.answers[r.URL.Path], s.token
	if s.instead != nil {
		answer, token = s.instead, ""
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.active--
	}()
	if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
		Status(http.StatusUnauthorized)(w, r)
		return
	}
	if answer == nil {
		answer = s.standard
	}
	answer(w, r)
}

func (s *Server) standard(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez":
		_, _ = io.WriteString(w, "ok")
	case "/version":
		JSON(map[string]string{"gitVersion": Version})(w, r)
	case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		var review authorizationv1.SelfSubjectAccessReview
		if json.NewDecoder(r.Body).Decode(&review) != nil || review.Spec.ResourceAttributes == nil {
			Status(http.StatusBadRequest)(w, r)
			return
		}
		s.mu.Lock()
		review.Status.Allowed = !s.denied[review.Spec.ResourceAttributes.Resource]
		s.mu.Unlock()
		JSON(review)(w, r)
	default:
		Status(http.StatusNotFound)(w, r)
	}
}

// JSON answers with a value.
func JSON(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
}

// Status answers with no more than a status.
func Status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "code": code, "message": strings.ToLower(http.StatusText(code))})
	}
}

// Hang takes requests and never answers.
func (s *Server) Hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.end:
	}
}

// HangInside sends the headers and the beginning of an answer, and never the rest.
func (s *Server) HangInside(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `{"kind": "Table", "rows": [`)
	_ = http.NewResponseController(w).Flush()
	s.Hang(w, r)
}

// Cut breaks the connection off in the middle of an answer.
func Cut(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"kind": "Table", "rows": [`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
