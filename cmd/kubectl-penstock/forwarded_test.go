package main

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// pods are those of a server: each port-forward goes to the last of them.
type pods struct {
	t       *testing.T
	now     *httptest.Server
	opened  int
	missing error
}

// replace starts another pod.
func (p *pods) replace() {
	p.now = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	p.now.EnableHTTP2 = true
	p.now.StartTLS()
	p.t.Cleanup(p.now.Close)
}

// open opens a port-forward to the pod of now. Once that is gone, it accepts connections and closes
// them, until somebody ends it.
func (p *pods) open(context.Context) (uint16, func(), error) {
	if p.missing != nil {
		return 0, nil, p.missing
	}
	p.opened++
	pod := p.now.Listener.Addr().String()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", pod)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
	return uint16(listener.Addr().(*net.TCPAddr).Port), func() { _ = listener.Close() }, nil
}

// asked is what a client is answered by the pod of the time.
func asked(t *testing.T, client *http.Client) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://penstock-server.penstock-system.svc:8443/", nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func TestAnotherPortForwardIsOpenedWhenThePodIsReplaced(t *testing.T) {
	t.Parallel()
	p := &pods{t: t}
	p.replace()
	way, err := newForwarded(t.Context(), p.open)
	require.NoError(t, err)
	defer way.close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.now.Certificate().Raw})
	client, err := clientOf(&rest.Config{}, place{ca: ca, alone: true}, "example.com", way) // the name in httptest's certificate
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	for range 2 {
		answer, err := asked(t, client)
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", answer)
	}
	require.Equal(t, 1, p.opened)

	lose := func() { p.now.Close(); client.CloseIdleConnections() } // as once the client has seen that they are broken
	lose()
	p.missing = errors.New("no pod is ready")
	_, err = asked(t, client)
	require.ErrorContains(t, err, "no pod is ready")
	p.missing = nil
	p.replace()
	answer, err := asked(t, client)
	require.NoError(t, err, "the pod that is there now")
	require.Equal(t, "HTTP/2.0", answer)
	require.Equal(t, 2, p.opened)

	lose()
	p.replace()
	_, err = asked(t, client)
	require.NoError(t, err, "the port-forward to the last pod still accepts")
	require.Equal(t, 3, p.opened)
}

func TestAServerThatIsNotTrustedIsNoReasonForAnotherPortForward(t *testing.T) {
	t.Parallel()
	p := &pods{t: t}
	p.replace()
	way, err := newForwarded(t.Context(), p.open)
	require.NoError(t, err)
	defer way.close()
	client, err := clientOf(&rest.Config{}, place{alone: true}, "example.com", way)
	require.NoError(t, err)
	_, err = asked(t, client)
	require.ErrorContains(t, err, "certificate")
	require.Equal(t, 1, p.opened)
}
