package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// keptAlive sends requests to the webhooks' port over one connection.
type keptAlive struct {
	t          *testing.T
	connection *tls.Conn
	reader     *bufio.Reader
}

func (s *scene) keepAlive(t *testing.T) *keptAlive {
	t.Helper()
	connection, err := (&tls.Dialer{Config: &tls.Config{RootCAs: s.roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}}).DialContext(t.Context(), "tcp", s.hooks)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	return &keptAlive{t: t, connection: connection.(*tls.Conn), reader: bufio.NewReader(connection)}
}

// get returns the status, and whether the answer says that the connection ends.
func (k *keptAlive) get(path string) (status int, closes bool) {
	k.t.Helper()
	_, err := fmt.Fprintf(k.connection, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	require.NoError(k.t, err)
	response, err := http.ReadResponse(k.reader, nil)
	require.NoError(k.t, err)
	require.NoError(k.t, response.Body.Close())
	return response.StatusCode, response.Close
}

// Whoever sends webhooks often does not send them again. A server that stops says first that it
// is not ready, and then takes what still comes, over connections that end with their answer.
func TestAServerThatStopsIsNotReadyBeforeItTakesNothingMore(t *testing.T) {
	t.Parallel()
	s, namespace := newScene(t, options{drain: 2 * time.Second}), local.NewNamespace(t)
	s.receives(t, namespace, true, func(*v1alpha1.ReceiverSpec) {})
	require.Eventually(t, func() bool {
		status, _ := s.hook(t, hookPath, "secret", "one", "{}")
		return status == http.StatusAccepted
	}, patience, look)
	before := s.keepAlive(t)
	_, closes := before.get("/healthz")
	require.False(t, closes)

	began, stopped := time.Now(), make(chan struct{})
	go func() { defer close(stopped); s.stop() }()
	require.Eventually(t, func() bool {
		return s.send(t, s.client, http.MethodGet, "/readyz", nil).status == http.StatusServiceUnavailable
	}, patience, look, "it is asked over new connections as well")
	status, _ := s.hook(t, hookPath, "secret", "two", `{"two":2}`)
	require.Equal(t, http.StatusAccepted, status)
	status, closes = before.get("/healthz")
	require.Equal(t, []any{http.StatusOK, true}, []any{status, closes}, "its client is told to connect again")
	<-stopped
	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	_, err := net.Dial("tcp", s.hooks)
	require.Error(t, err)
	var kept int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM webhook_delivery WHERE namespace = $1", namespace).Scan(&kept))
	require.Equal(t, 2, kept)
}
