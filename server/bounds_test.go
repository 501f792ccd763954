package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/identity"
)

func TestWhatIsTooLargeOrUnknownIsRefused(t *testing.T) {
	t.Parallel()
	s, _, base, token := shop(t)
	authorization := []string{"Authorization", "Bearer " + token}
	large := bytes.NewReader(make([]byte, 10<<20))
	require.Contains(t, s.send(t, s.client, http.MethodGet, base+"/builds", large, authorization...).detail(t, http.StatusRequestEntityTooLarge), "at most 1048576")
	require.Contains(t, s.send(t, s.client, http.MethodPost, base+"/builds", nil, authorization...).detail(t, http.StatusMethodNotAllowed), "GET")
	s.get(t, token, base+"/builds?"+strings.Repeat("a", 9000)).detail(t, http.StatusRequestURITooLong)
	s.get(t, token, base+"/builds?limit=501").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, base+"/builds?limit=0").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, base+"/builds?phase=Odd").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, base+"/builds?sort=name").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, "/api/v1/namespaces/Not%20a%20name/builds").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, base+"/pipelines/%00/runs").detail(t, http.StatusBadRequest)
	require.Contains(t, s.get(t, token, "/api/v2/queue").detail(t, http.StatusNotFound), "/openapi.json")
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, s.sendHTTP1(t, "X: "+strings.Repeat("a", 100<<10)))
	// A body whose length is not told is not read either.
	got := s.send(t, s.client, http.MethodGet, base+"/builds", io.MultiReader(bytes.NewReader(make([]byte, 2<<20))), authorization...)
	require.Equal(t, http.StatusOK, got.status)
}

func TestARefusedBodyCostsNoAnswerOfTheSameConnection(t *testing.T) {
	t.Parallel()
	s, _, base, token := shop(t)
	isReused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { isReused = got.Reused }})
	for range 3 { // over HTTP/2, where a closed connection cuts off the answers that are under way
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+base+"/builds", bytes.NewReader(make([]byte, 10<<20)))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := s.client.Do(request)
		require.NoError(t, err)
		require.Equal(t, []any{http.StatusRequestEntityTooLarge, 2}, []any{answer.StatusCode, answer.ProtoMajor})
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.True(t, isReused)
	}
}

// sendHTTP1 sends a request with one more header over HTTP/1.1, and returns the status.
func (s *scene) sendHTTP1(t *testing.T, header string) int {
	t.Helper()
	connection := s.dial(t)
	_, err := fmt.Fprintf(connection, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", header)
	require.NoError(t, err)
	answer := make([]byte, 64)
	n, err := connection.Read(answer)
	require.NoError(t, err)
	var status int
	_, err = fmt.Sscanf(string(answer[:n]), "HTTP/1.1 %d", &status)
	require.NoError(t, err)
	return status
}

func (s *scene) dial(t *testing.T) *tls.Conn {
	t.Helper()
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: s.roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}}).DialContext(t.Context(), "tcp", s.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	return connection.(*tls.Conn)
}

func TestAClientThatSendsItsHeadersSlowlyIsCutOff(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	connection := s.dial(t)
	began := time.Now()
	_, err := io.WriteString(connection, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	require.NoError(t, err)
	_, err = connection.Read(make([]byte, 1))
	require.Error(t, err)
	require.Less(t, time.Since(began), 10*time.Second)
}

func TestABodyThatIsTooLargeOrComesSlowlyIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	token := s.nobody(t)
	const path = "/api/v1/resources:batchGet"
	headers := []string{"Authorization", "Bearer " + token, "Content-Type", "application/json"}
	large := strings.Repeat(" ", 10<<20)
	require.Contains(t, s.send(t, s.client, http.MethodPost, path, strings.NewReader(large), headers...).detail(t, http.StatusRequestEntityTooLarge), "at most 1048576")
	unknown := s.send(t, s.client, http.MethodPost, path, io.MultiReader(strings.NewReader(large)), headers...)
	require.Equal(t, http.StatusRequestEntityTooLarge, unknown.status, string(unknown.body))

	connection := s.dial(t)
	began := time.Now()
	_, err := fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path, token)
	require.NoError(t, err)
	answered, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	require.NoError(t, answered.Body.Close())
	require.Equal(t, http.StatusRequestTimeout, answered.StatusCode, "the body did not come in time")
	require.Less(t, time.Since(began), 20*time.Second)
}

// What one user opens costs the others nothing: most of the ten thousand are refused at
// once. Not parallel: a thousand requests at once leave other tests no time for what they
// bound, such as to connect to Postgres.
func TestTenThousandStreamsOfOneUserAreBounded(t *testing.T) {
	s, namespace, _, token := shop(t)
	greedy, observer := s.reader(t, namespace), s.observer(t)
	const streams, clients = 10000, 20
	var open, refused atomic.Int32
	var group errgroup.Group
	group.SetLimit(clients * 50)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	used := make([]*http.Client, clients)
	for i := range used {
		used[i] = s.newClient(nil)
	}
	began := time.Now()
	var bodies sync.Map
	for i := range streams {
		group.Go(func() error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+"/api/v1/events?watch=true", nil)
			if err != nil {
				return err
			}
			request.Header.Set("Authorization", "Bearer "+greedy)
			response, err := used[i%clients].Do(request)
			if err != nil {
				return err
			}
			if response.StatusCode == http.StatusOK {
				open.Add(1)
				bodies.Store(i, response.Body)
				return nil
			}
			refused.Add(1)
			// 503: what streams begin with may wait for a connection to Postgres too long.
			if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
				return fmt.Errorf("status %d", response.StatusCode)
			}
			return response.Body.Close()
		})
	}
	// At once: a stream may end meanwhile, such as one to a client that reads nothing.
	require.LessOrEqual(t, s.metric(t, observer, "penstock_server_streams"), 200.0)
	require.NoError(t, group.Wait())
	require.LessOrEqual(t, s.metric(t, observer, "penstock_server_streams"), 200.0)
	require.LessOrEqual(t, int(open.Load()), 60+20*int(time.Since(began).Seconds()+1))
	require.EqualValues(t, streams, open.Load()+refused.Load())
	s.watch(t, token, "/api/v1/events?watch=true").begun()
	var list rest.BuildList
	s.get(t, token, "/api/v1/namespaces/"+namespace+"/builds").into(t, &list)
	require.Len(t, list.Items, 1)
	cancel()
	bodies.Range(func(_, body any) bool { return body.(io.Closer).Close() != nil || true })
}

func TestAUserWhoSendsTooMuchIsToldToWait(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	greedy, other := s.nobody(t), s.nobody(t)
	var refused answer
	for range 500 {
		if refused = s.get(t, greedy, "/nowhere"); refused.status == http.StatusTooManyRequests {
			break
		}
	}
	require.Contains(t, refused.detail(t, http.StatusTooManyRequests), "more than 20 requests per second")
	require.Equal(t, "1", refused.header.Get("Retry-After"))
	require.Equal(t, http.StatusNotFound, s.get(t, other, "/nowhere").status, "others are not held back")
}

func TestAnAddressThatGuessesTokensIsToldToWait(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	known := s.nobody(t)
	require.Equal(t, http.StatusNotFound, s.get(t, known, "/nowhere").status)
	var refused answer
	for i := range 500 {
		if refused = s.get(t, fmt.Sprintf("guess-%d", i), "/nowhere"); refused.status == http.StatusTooManyRequests {
			break
		}
	}
	require.Contains(t, refused.detail(t, http.StatusTooManyRequests), "without valid credentials")
	require.Equal(t, http.StatusNotFound, s.get(t, known, "/nowhere").status, "who is known is not held back")
}

func TestATokenThatWasValidIsNoGuessThoughItsAnswerIsForgotten(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	tokens := identity.NewTokens(identity.TokensConfig{Client: s.kube.AuthenticationV1().TokenReviews(), Size: 10, TTL: time.Nanosecond, Timeout: patience})
	valid := s.nobody(t)
	require.True(t, tokens.IsGuess(valid), "nobody has seen it")
	_, err := tokens.Review(t.Context(), valid)
	require.NoError(t, err)
	require.False(t, tokens.IsGuess(valid))
	_, err = tokens.Review(t.Context(), "guess")
	require.Error(t, err)
	require.True(t, tokens.IsGuess("guess"))
}

func TestWhoSendsNoTokenHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	for i := range 200 { // more than an address may have reviewed at once
		headers := [][]string{nil, {"Authorization", "Basic YWRtaW46YWRtaW4="}, {"Authorization", "Bearer the-same"}}[i%3]
		require.Equal(t, http.StatusUnauthorized, s.send(t, s.client, http.MethodGet, "/nowhere", nil, headers...).status)
	}
	require.Equal(t, http.StatusNotFound, s.get(t, s.nobody(t), "/nowhere").status, "who has one address with them and was never seen")
	require.Less(t, strings.Count(s.log.String(), "request refused"), 200, "the log can't be filled")
}
