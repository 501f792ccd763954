package registry

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// sessionAge is after how long a session begins anew, so that it follows a registry that
// changes how it wants to be asked.
const sessionAge = time.Hour

// userAgent is how a registry's operator knows who asks.
const userAgent = "penstock"

// accepted are the manifests whose digest an image can have: an index first, so that it is
// the answer where there is one.
var accepted = strings.Join([]string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
}, ", ")

// session is the way to one repository with one set of credentials. It keeps the bearer token.
type session struct {
	host        *host
	credentials *Credentials
	// turn lets one question through at a time: the library's transport is not safe for
	// concurrent use while it renews a token, and of many questions one alone must ask for it.
	turn chan struct{}

	// Who has the turn uses these.
	transport http.RoundTripper
	madeAt    time.Time
	bearer    string // the token that was sent last
}

func newSession(host *host, credentials *Credentials) *session {
	return &session{host: host, credentials: credentials, turn: make(chan struct{}, 1)}
}

// digest asks for an image.
func (s *session) digest(ctx context.Context, image Image) (string, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", errorOf(s.host.name, ctx.Err())
	}
	if paused := s.host.paused(); paused != nil {
		return "", paused
	}
	digest, err := s.ask(ctx, image)
	if err == nil {
		return digest, nil
	}
	failure := errorOf(s.host.name, err)
	if failure.Class == Refused {
		s.transport = nil // the next question begins with the registry's own terms
	}
	told := *failure
	told.Words = s.credentials.redact(told.Words, s.bearer)
	return "", &told
}

func (s *session) ask(ctx context.Context, image Image) (string, error) {
	if err := s.prepare(ctx, image); err != nil {
		return "", err
	}
	return s.head(ctx, image)
}

// prepare asks the registry how it wants to be asked, and for a token, unless that is known.
func (s *session) prepare(ctx context.Context, image Image) error {
	if s.transport != nil && s.host.now().Sub(s.madeAt) < sessionAge {
		return nil
	}
	repository, err := name.NewRepository(image.Repository)
	if err != nil {
		return err
	}
	scopes := []string{repository.Scope(transport.PullScope)}
	made, err := transport.NewWithContext(ctx, repository.Registry, s.credentials.authenticator(), transport.NewUserAgent(s, userAgent), scopes)
	if err != nil {
		return err
	}
	s.transport, s.madeAt = made, s.host.now()
	return nil
}

// head is the one request that asks for a digest.
func (s *session) head(ctx context.Context, image Image) (string, error) {
	// The session's transport changes the scheme where the registry does not speak TLS.
	address := "https://" + image.Registry + "/v2/" + image.path() + "/manifests/" + image.Tag
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", accepted)
	response, err := s.host.client.Through(s.transport).Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return "", err
	}
	return s.digestOf(response)
}

// digestOf reads the header that a HEAD is sent for.
func (s *session) digestOf(response *http.Response) (string, error) {
	const header = "Docker-Content-Digest"
	digest := response.Header.Get(header)
	if digestPattern.MatchString(digest) {
		return digest, nil
	}
	words := "its answer to HEAD has the header " + header + " with what is no digest: " + printable(digest)
	if digest == "" {
		words = "its answer to HEAD lacks the header " + header + ", and nothing is pulled to learn the digest"
	}
	return "", &Error{Class: InvalidAnswer, Registry: s.host.name, Words: words}
}

// errUnencrypted means that credentials would be sent without TLS.
var errUnencrypted = errors.New("credentials are sent over TLS alone, and the registry does not speak it")

// RoundTrip implements http.RoundTripper below the library's transport.
func (s *session) RoundTrip(request *http.Request) (*http.Response, error) {
	authorization := request.Header.Get("Authorization")
	isSecret := s.credentials != nil && (authorization != "" || request.Method == http.MethodPost)
	if isSecret && request.URL.Scheme != "https" && !isLoopback(request.URL.Hostname()) {
		return nil, &Error{Class: Refused, Registry: s.host.name, Words: errUnencrypted.Error()}
	}
	if token, isBearer := strings.CutPrefix(authorization, "Bearer "); isBearer {
		s.bearer = token
	}
	return s.host.RoundTrip(request)
}

// isLoopback tells whether what is sent stays on this machine.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
