package server_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
