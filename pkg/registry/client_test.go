package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/registry"
	fake "github.com/penstock-cd/penstock/test/registry"
)

const head17 = "HEAD /v2/base/java/manifests/17"

// clock is one that the test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) pass(by time.Duration) { c.offset.Add(int64(by)) }

func newClient(t *testing.T) (*registry.Client, *clock) {
	t.Helper()
	clock := &clock{}
	client := registry.New(registry.Config{Guard: fake.Guard(), Now: clock.now})
	t.Cleanup(client.Close)
	return client, clock
}

func imageOf(t *testing.T, image string) registry.Image {
	t.Helper()
	parsed, err := registry.ParseImage(image)
	require.NoError(t, err)
	return parsed
}

// failure asks for what must not be known.
func failure(t *testing.T, client *registry.Client, image registry.Image, credentials *registry.Credentials) *registry.Error {
	t.Helper()
	_, err := client.Digest(t.Context(), image, credentials)
	var failure *registry.Error
	require.ErrorAs(t, err, &failure)
	return failure
}

func login(t *testing.T, host, user, password string) *registry.Credentials {
	t.Helper()
	config, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": user, "password": password}}})
	require.NoError(t, err)
	secret := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: config}}
	credentials, err := registry.FindCredentials(secret, imageOf(t, host+"/base/java:17"))
	require.NoError(t, err)
	return credentials
}

func TestADigestIsThatOfTheImageOrItsIndexByOneHead(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	client, _ := newClient(t)
	image := imageOf(t, server.Host+"/base/java:17")
	for _, platforms := range []int{1, 3} {
		want := server.Push(t, "base/java:17", platforms)
		server.Requests()
		got, err := client.Digest(t.Context(), image, nil)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, []string{head17}, server.Requests(), "the registry's terms are known from the first time")
}

func TestATokenIsAskedForOnceAndAgainWhenItHasExpired(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	server.RequireToken("ann", "hunter2-hunter2")
	client, clock := newClient(t)
	want := server.Push(t, "base/java:17", 2)
	image, ann := imageOf(t, server.Host+"/base/java:17"), login(t, server.Host, "ann", "hunter2-hunter2")
	ask := func(requests ...string) {
		t.Helper()
		got, err := client.Digest(t.Context(), image, ann)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, requests, server.Requests())
	}
	ask("GET /v2/", "GET /token", head17)
	ask(head17)
	server.ExpireTokens()
	ask(head17, "GET /token", head17)
	ask(head17)
	clock.pass(2 * time.Hour)
	ask("GET /v2/", "GET /token", head17)
}

func TestConnectionsOfTLSAreUsedAgain(t *testing.T) {
	t.Parallel()
	server := fake.NewTLS(t)
	client, _ := newClient(t)
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
		}
		return r.Method == http.MethodHead
	})
	for i := range 5 {
		_, err := client.Digest(t.Context(), imageOf(t, fmt.Sprintf("%s/base/java:%d", server.Host, i)), login(t, server.Host, "ann", "hunter2-hunter2"))
		require.NoError(t, err)
	}
	require.Len(t, server.Requests(), 6, "the registry's terms, and five times HEAD")
	// net/http does not use a connection again whose write was not confirmed within 50 ms, which a
	// busy machine may miss once.
	require.LessOrEqual(t, server.Connections(), 2)
}

func TestManyQuestionsAtOnceShareOneToken(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	server.RequireToken("", "")
	client, _ := newClient(t)
	server.Push(t, "base/java:17", 1)
	image := imageOf(t, server.Host+"/base/java:17")
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			_, err := client.Digest(t.Context(), image, nil)
			assert.NoError(t, err)
		})
	}
	asking.Wait()
	require.Equal(t, 1, server.Count("GET /token"))
	require.Equal(t, 8, server.Count(head17))
}

func TestOtherCredentialsAreAnotherToken(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	server.RequireToken("ann", "hunter2-hunter2")
	server.Push(t, "base/java:17", 1)
	client, _ := newClient(t)
	image := imageOf(t, server.Host+"/base/java:17")
	_, err := client.Digest(t.Context(), image, login(t, server.Host, "ann", "hunter2-hunter2"))
	require.NoError(t, err)
	wrong := failure(t, client, image, login(t, server.Host, "ann", "wrong-password"))
	require.Equal(t, registry.Refused, wrong.Class)
	require.Equal(t, "401 Unauthorized: incorrect username or password: [redacted]", wrong.Words)
	none := failure(t, client, image, nil)
	require.Equal(t, registry.Refused, none.Class)
	_, err = client.Digest(t.Context(), image, login(t, server.Host, "ann", "hunter2-hunter2"))
	require.NoError(t, err, "whose token is untouched")
}

func TestARegistryThatAsksForAPauseIsLeftAloneByAll(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		status     int
		retryAfter string
		pause      time.Duration
	}{
		"for as long as it says":                  {429, "120", 2 * time.Minute},
		"for a minute where it does not say":      {429, "", time.Minute},
		"for some seconds at least":               {429, "1", 5 * time.Second},
		"for an hour at most":                     {429, "1790000000", time.Hour},
		"also when it is out of order for a time": {503, "30", 30 * time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server, other := fake.New(t), fake.New(t)
			client, clock := newClient(t)
			server.Push(t, "base/java:17", 1)
			server.Push(t, "other/go:1", 1)
			other.Push(t, "base/java:17", 1)
			server.Before(func(w http.ResponseWriter, _ *http.Request) bool {
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`))
				return true
			})
			asked := clock.now()
			paused := failure(t, client, imageOf(t, server.Host+"/base/java:17"), nil)
			require.Equal(t, registry.RateLimited, paused.Class)
			require.Contains(t, paused.Words, "TOOMANYREQUESTS: slow down")
			require.WithinDuration(t, asked.Add(test.pause), paused.Until, 4*time.Second)
			require.Len(t, server.Requests(), 1, "nothing is tried again")
			require.Equal(t, paused.Until, client.PausedUntil(server.Host))

			server.Before(nil)
			again := failure(t, client, imageOf(t, server.Host+"/other/go:1"), nil)
			require.Equal(t, paused, again, "another image of the registry, which is not asked")
			require.Empty(t, server.Requests())
			_, err := client.Digest(t.Context(), imageOf(t, other.Host+"/base/java:17"), nil)
			require.NoError(t, err, "another registry is not concerned")

			clock.pass(paused.Until.Sub(clock.now()) + time.Second)
			require.Zero(t, client.PausedUntil(server.Host))
			_, err = client.Digest(t.Context(), imageOf(t, server.Host+"/other/go:1"), nil)
			require.NoError(t, err)
		})
	}
}

func TestWhatARegistryAnswersDecidesTheClass(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	answer := func(status int, headers ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodHead {
				return false
			}
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			return true
		}
	}
	for sentence, test := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		class  registry.Class
		words  string
	}{
		"a tag that does not exist is not found":    {nil, registry.NotFound, "404 Not Found"},
		"forbidden is refused":                      {answer(403), registry.Refused, "403 Forbidden"},
		"a method that is not allowed is refused":   {answer(405), registry.Refused, "405 Method Not Allowed"},
		"an error of the server is unreachable":     {answer(500), registry.Unreachable, "500 Internal Server Error"},
		"out of order without a time as well":       {answer(503), registry.Unreachable, "503 Service Unavailable"},
		"an answer without the header is told":      {answer(200, "Content-Type", "text/html"), registry.InvalidAnswer, "lacks the header Docker-Content-Digest, and nothing is pulled"},
		"a digest that is none is told":             {answer(200, "Docker-Content-Digest", "sha256:XYZ"), registry.InvalidAnswer, "what is no digest: sha256:XYZ"},
		"a digest that is cut is none":              {answer(200, "Docker-Content-Digest", digest[:60]), registry.InvalidAnswer, "what is no digest"},
		"a redirect for ever is refused":            {answer(302, "Location", "/v2/base/java/manifests/17"), registry.InvalidAnswer, "redirect refused: more than 5"},
		"a redirect to an address inside is not":    {answer(302, "Location", "http://10.0.0.1/"), registry.Unreachable, "10.0.0.1 is not a public address"},
		"an answer that means nothing here is told": {answer(304), registry.InvalidAnswer, "304 Not Modified"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := fake.New(t)
			client, _ := newClient(t)
			server.Before(test.before)
			got := failure(t, client, imageOf(t, server.Host+"/base/java:17"), nil)
			require.Equal(t, test.class, got.Class, got.Words)
			require.Contains(t, got.Words, test.words)
			require.Equal(t, server.Host, got.Registry)
			for _, request := range server.Requests() {
				require.NotContains(t, request, "GET /v2/base", "no manifest is ever pulled")
			}
		})
	}
}

func TestAHeadWithoutALengthOrATypeIsEnough(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	client, _ := newClient(t)
	digest := "sha512:" + strings.Repeat("b", 128)
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("Docker-Content-Digest", digest)
			w.Header()["Content-Type"] = nil
		}
		return r.Method == http.MethodHead
	})
	got, err := client.Digest(t.Context(), imageOf(t, server.Host+"/base/java:17"), nil)
	require.NoError(t, err)
	require.Equal(t, digest, got)
}

func TestARedirectIsFollowedWithoutCredentials(t *testing.T) {
	t.Parallel()
	server, mirror := fake.New(t), fake.New(t)
	server.RequireToken("ann", "hunter2-hunter2")
	want := mirror.Push(t, "base/java:17", 1)
	var leaked atomic.Bool
	mirror.Before(func(_ http.ResponseWriter, r *http.Request) bool {
		leaked.Store(leaked.Load() || r.Header.Get("Authorization") != "")
		return false
	})
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			http.Redirect(w, r, "http://"+mirror.Host+r.URL.Path, http.StatusTemporaryRedirect)
		}
		return r.Method == http.MethodHead
	})
	client, _ := newClient(t)
	got, err := client.Digest(t.Context(), imageOf(t, server.Host+"/base/java:17"), login(t, server.Host, "ann", "hunter2-hunter2"))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.False(t, leaked.Load())
}

func TestNoAnswerIsUnreachable(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	got := failure(t, client, imageOf(t, strings.TrimPrefix(closed.URL, "http://")+"/base/java:17"), nil)
	require.Equal(t, registry.Unreachable, got.Class)
	require.Contains(t, got.Words, "connection refused")

	inside := registry.New(registry.Config{Guard: outbound.New(outbound.Config{})})
	defer inside.Close()
	got = failure(t, inside, imageOf(t, "127.0.0.1:5000/base/java:17"), nil)
	require.Equal(t, registry.Unreachable, got.Class)
	require.Contains(t, got.Words, "OUTBOUND_ALLOWED_NETWORKS")
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	client, _ := newClient(t)
	asked, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	var once sync.Once
	server.Before(func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() { close(asked) })
		<-release
		return true
	})
	image := imageOf(t, server.Host+"/base/java:17")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Digest(ctx, image, nil)
		ended <- err
	}()
	<-asked
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestCredentialsAreNotSentWithoutTLS(t *testing.T) {
	t.Parallel()
	// The name of a registry on this machine is no loopback address to the client.
	server := fake.New(t)
	server.RequireToken("ann", "hunter2-hunter2")
	_, port, _ := strings.Cut(server.Host, ":")
	client, _ := newClient(t)
	host := "localhost:" + port
	got := failure(t, client, imageOf(t, host+"/base/java:17"), login(t, host, "ann", "hunter2-hunter2"))
	require.Equal(t, registry.Refused, got.Class)
	require.Contains(t, got.Words, "credentials are sent over TLS alone")
	require.Equal(t, []string{"GET /v2/"}, server.Requests())
}

func TestATokenServerThatSaysTooMuchIsNotRepeated(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct{ body, words string }{
		"without a token": {`{"refresh_token":"hunter3-hunter3"}`, "the token server's answer holds no token"},
		"no JSON":         {`hunter3`, "invalid character"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := fake.New(t)
			server.RequireToken("", "")
			server.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					_, _ = w.Write([]byte(test.body))
				}
				return r.URL.Path == "/token"
			})
			client, _ := newClient(t)
			got := failure(t, client, imageOf(t, server.Host+"/base/java:17"), nil)
			require.Equal(t, registry.InvalidAnswer, got.Class)
			require.Contains(t, got.Words, test.words)
			require.NotContains(t, got.Words, "hunter3")
		})
	}
}

func TestARegistryThatRepeatsTheTokenIsNotRepeated(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	server.RequireToken("", "")
	client, _ := newClient(t)
	image := imageOf(t, server.Host+"/base/java:17")
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if bearer := r.Header.Get("Authorization"); r.Method == http.MethodHead && len(bearer) > 10 {
			http.Redirect(w, r, "/token-is/"+strings.TrimPrefix(bearer, "Bearer "), http.StatusFound)
			return true
		}
		if strings.HasPrefix(r.URL.Path, "/token-is/") {
			http.Redirect(w, r, "ftp://example.org"+r.URL.Path, http.StatusFound)
			return true
		}
		return false
	})
	got := failure(t, client, image, nil)
	require.NotContains(t, got.Words, "secret-bearer")
}

func TestAnAnswerWithoutEndIsNotRead(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	client, _ := newClient(t)
	var sent atomic.Int64
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		chunk := strings.Repeat("x", 1<<16)
		for r.Method == http.MethodGet {
			n, err := w.Write([]byte(chunk))
			sent.Add(int64(n))
			if err != nil {
				return true
			}
		}
		return false
	})
	got := failure(t, client, imageOf(t, server.Host+"/base/java:17"), nil)
	require.Equal(t, registry.NotFound, got.Class)
	require.Less(t, sent.Load(), int64(64<<20))
}

func TestRequestsToARegistryAreBounded(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	client, _ := newClient(t)
	var images []registry.Image
	for i := range 30 {
		server.Push(t, fmt.Sprintf("base/java:%d", i), 1)
		images = append(images, imageOf(t, fmt.Sprintf("%s/base/java:%d", server.Host, i)))
	}
	began := time.Now()
	for _, image := range images {
		_, err := client.Digest(t.Context(), image, nil)
		require.NoError(t, err)
	}
	// 20 at once, and 10 in each second after that; the handshake needs one or two of them.
	require.Greater(t, time.Since(began), 900*time.Millisecond)
}

func TestAnErrorIsNoSecretAndNamesTheRegistry(t *testing.T) {
	t.Parallel()
	credentials := login(t, "registry.example.org", "ann", "hunter2")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", credentials, credentials, credentials, credentials), "hunter2")
	err := error(&registry.Error{Class: registry.Refused, Registry: "registry.example.org", Words: "403 Forbidden"})
	require.EqualError(t, err, "registry.example.org: 403 Forbidden")
}

func TestARegistryThatChangesItsTermsIsAskedForThem(t *testing.T) {
	t.Parallel()
	server := fake.New(t)
	server.Push(t, "base/java:17", 1)
	client, _ := newClient(t)
	image, ann := imageOf(t, server.Host+"/base/java:17"), login(t, server.Host, "ann", "hunter2-hunter2")
	_, err := client.Digest(t.Context(), image, ann)
	require.NoError(t, err)
	server.RequireToken("ann", "hunter2-hunter2")
	require.Equal(t, registry.Refused, failure(t, client, image, ann).Class, "it wanted no token before")
	_, err = client.Digest(t.Context(), image, ann)
	require.NoError(t, err)
}
