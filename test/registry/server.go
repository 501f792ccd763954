package registry

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Guard is one that lets tests reach what they listen on.
func Guard() *outbound.Guard {
	return outbound.New(outbound.Config{AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

// Server is a registry. It is safe for concurrent use.
type Server struct {
	// Host is where it listens, as the first part of an image.
	Host   string
	images http.Handler
	server *httptest.Server

	connections atomic.Int64

	mu       sync.Mutex
	before   func(http.ResponseWriter, *http.Request) bool
	token    *tokens
	requests []string
}

// New starts a registry that ends with the test. It speaks no TLS.
func New(t testing.TB) *Server {
	t.Helper()
	return start(t, (*httptest.Server).Start)
}

// NewTLS starts one that speaks TLS alone, with a certificate that nobody knows but who trusts
// that of net/http/httptest.
func NewTLS(t testing.TB) *Server {
	t.Helper()
	return start(t, (*httptest.Server).StartTLS)
}

func start(t testing.TB, begin func(*httptest.Server)) *Server {
	t.Helper()
	s := listen(begin)
	t.Cleanup(s.Close)
	return s
}

// Listen starts a registry that Close ends, for who has no test. It speaks no TLS.
func Listen() *Server { return listen((*httptest.Server).Start) }

// Close ends a registry of Listen.
func (s *Server) Close() { s.server.Close() }

func listen(begin func(*httptest.Server)) *Server {
	s := &Server{images: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	s.server = httptest.NewUnstartedServer(s)
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	begin(s.server)
	s.Host = s.server.Listener.Addr().String()
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before, token := s.before, s.token
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if token != nil && token.handle(w, r) {
		return
	}
	s.images.ServeHTTP(w, r)
}

// Before has each request handled by a function first, which returns whether it has answered.
// Nil undoes that.
func (s *Server) Before(handle func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = handle
}

// Connections returns how many connections were made to it.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Requests returns what was asked since the last call, such as HEAD /v2/java/manifests/17.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

// Count returns how many of these requests came since the last call of Requests.
func (s *Server) Count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.requests), func(one string) bool { return one != request }))
}

// Push is Store for a test.
func (s *Server) Push(t testing.TB, repositoryAndTag string, platforms int) string {
	t.Helper()
	digest, err := s.Store(repositoryAndTag, platforms)
	require.NoError(t, err)
	return digest
}

// Store stores another image of these platforms under a tag, and returns its digest. Of several
// platforms it is that of the index. No credentials are needed for it, and Requests does not tell
// of it.
func (s *Server) Store(repositoryAndTag string, platforms int) (string, error) {
	tag, err := name.NewTag(s.Host + "/" + repositoryAndTag)
	if err != nil {
		return "", err
	}
	seen := s.Requests()
	s.mu.Lock()
	before, token := s.before, s.token
	s.before, s.token = nil, nil
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.before, s.token, s.requests = before, token, seen
	}()
	if platforms > 1 {
		return written(random.Index(64, 1, int64(platforms)))(func(index v1.ImageIndex) error { return remote.WriteIndex(tag, index) })
	}
	return written(random.Image(64, 1))(func(image v1.Image) error { return remote.Write(tag, image) })
}

// written writes what was made, and returns its digest.
func written[T interface{ Digest() (v1.Hash, error) }](made T, err error) func(write func(T) error) (string, error) {
	return func(write func(T) error) (string, error) {
		if err != nil {
			return "", err
		}
		if err := write(made); err != nil {
			return "", err
		}
		digest, err := made.Digest()
		return digest.String(), err
	}
}
