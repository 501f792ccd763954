package service_test

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/test/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	look     = 10 * time.Millisecond
)

// backend is a server that says its name, and whether it is ready.
type backend struct {
	*httptest.Server

	unready atomic.Bool
}

func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && b.unready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) behind(front *service.Service) (remove func()) {
	return front.Add(strings.TrimPrefix(b.URL, "http://"), b.URL+"/readyz", x509.NewCertPool())
}

// ask asks over a new connection, or over one that is kept.
func ask(ctx context.Context, client *http.Client, front *service.Service) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+front.Address()+"/", http.NoBody)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return "nobody"
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

func TestConnectionsGoToThoseThatAreReadyInTurn(t *testing.T) {
	t.Parallel()
	front, err := service.Listen()
	require.NoError(t, err)
	defer front.Close()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	kept := &http.Client{Transport: &http.Transport{}}
	defer kept.CloseIdleConnections()
	require.Equal(t, "nobody", ask(t.Context(), fresh, front))
	require.Positive(t, front.Refused())

	a, b := newBackend(t, "a"), newBackend(t, "b")
	defer a.behind(front)()
	removeB := b.behind(front)
	require.ElementsMatch(t, []string{"a", "b"}, []string{ask(t.Context(), fresh, front), ask(t.Context(), fresh, front)})
	first := ask(t.Context(), kept, front)

	others := map[string]*backend{"a": a, "b": b}
	others[first].unready.Store(true)
	require.Eventually(t, func() bool {
		one, two := ask(t.Context(), fresh, front), ask(t.Context(), fresh, front)
		return one != first && two != first
	}, patience, look)
	require.Equal(t, first, ask(t.Context(), kept, front), "a connection stays where it is")
	others[first].unready.Store(false)
	require.Eventually(t, func() bool { return ask(t.Context(), fresh, front) == first }, patience, look)

	b.Close()
	require.Equal(t, []string{"a", "a"}, []string{ask(t.Context(), fresh, front), ask(t.Context(), fresh, front)}, "of one that is gone the next one takes the connection")
	removeB()
}
