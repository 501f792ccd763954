package fleet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// address is one that leads to the cluster "east" first.
type address struct {
	*httptest.Server
	next    atomic.Pointer[string] // the cluster that the next connection, or request, leads to
	whole   sync.Map               // by cluster, writes that arrived whole
	proofs  atomic.Int64
	onWrite func()
}

type clusterKey struct{}

// newAddress starts it. Where it balances requests, each of them leads to the cluster of the
// moment; else each connection does.
func newAddress(t *testing.T, http2, balancesRequests bool) *address {
	t.Helper()
	a := &address{onWrite: func() {}}
	a.lead("east")
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cluster := r.Context().Value(clusterKey{}).(string)
		if balancesRequests {
			cluster = *a.next.Load()
		}
		a.serve(w, r, cluster)
	}))
	a.Config.ErrorLog = discard
	a.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, clusterKey{}, *a.next.Load())
	}
	a.EnableHTTP2 = http2
	a.StartTLS()
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (a *address) lead(cluster string) { a.next.Store(&cluster) }

func (a *address) serve(w http.ResponseWriter, r *http.Request, cluster string) {
	w.Header().Set(flowSchema, "schema-of-"+cluster)
	if r.URL.Path == "/who" {
		a.proofs.Add(1)
	} else if _, err := io.ReadAll(r.Body); err != nil {
		return
	} else if r.Method == http.MethodPost {
		count, _ := a.whole.LoadOrStore(cluster, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		a.onWrite()
	}
	_, _ = io.WriteString(w, cluster)
}

func (a *address) writes(cluster string) int64 {
	count, has := a.whole.Load(cluster)
	if !has {
		return 0
	}
	return count.(*atomic.Int64).Load()
}

var errWest = errors.New("it is another cluster")

// provenTo is a transport to the cluster "east".
func (a *address) provenTo(t *testing.T) *http.Client {
	t.Helper()
	made := open(t, &rest.Config{Host: a.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(a.Certificate().Raw)}})
	return &http.Client{Transport: made.Proven(func(ctx context.Context) error {
		response, err := made.Do(ctx, http.MethodGet, "/who", nil, nil, nil)
		if err != nil {
			return err
		}
		who, err := io.ReadAll(response.Body)
		if err == nil && string(who) != "east" {
			err = errWest
		}
		return errors.Join(err, response.Body.Close())
	})}
}

func post(ctx context.Context, by *http.Client, to string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to+"/workflows", bytes.NewReader([]byte("a Workflow")))
	if err != nil {
		return err
	}
	response, err := by.Do(request)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(response.Body)
	return errors.Join(err, response.Body.Close())
}

func read(ctx context.Context, by *http.Client, from string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from+"/workflows", nil)
	if err != nil {
		return "", err
	}
	response, err := by.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	return string(text), errors.Join(err, response.Body.Close())
}

var protocols = map[string]bool{"over HTTP/1.1": false, "over HTTP/2": true}

func TestNothingIsWrittenOverAConnectionThatLeadsToAnotherCluster(t *testing.T) {
	t.Parallel()
	for protocol, http2 := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			a := newAddress(t, http2, false)
			var after atomic.Int64
			var cut sync.Once
			a.onWrite = func() {
				if after.Add(1) >= 50 {
					cut.Do(func() {
						a.lead("west")
						go a.CloseClientConnections()
					})
				}
			}
			by := a.provenTo(t)
			var group sync.WaitGroup
			for range 5 {
				group.Go(func() {
					for range 100 {
						_ = post(t.Context(), by, a.URL)
						if text, err := read(t.Context(), by, a.URL); err == nil && text != "east" {
							t.Errorf("a read is answered by the %s", text)
						}
					}
				})
			}
			group.Wait()
			require.GreaterOrEqual(t, a.writes("east"), int64(50))
			require.Zero(t, a.writes("west"))
			require.ErrorIs(t, post(t.Context(), by, a.URL), errWest)
			a.lead("east")
			a.CloseClientConnections()
			require.Eventually(t, func() bool { return post(t.Context(), by, a.URL) == nil }, testPatience, testPatience/100, "the address leads to it again")
		})
	}
}

func TestAConnectionThatLastsIsProvenOnce(t *testing.T) {
	t.Parallel()
	for protocol, http2 := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			a := newAddress(t, http2, false)
			by := a.provenTo(t)
			for range 200 {
				require.NoError(t, post(t.Context(), by, a.URL))
			}
			require.Equal(t, int64(200), a.writes("east"))
			require.LessOrEqual(t, a.proofs.Load(), int64(3), "one for each connection, one for the FlowSchema")
			a.CloseClientConnections()
			require.Eventually(t, func() bool { return post(t.Context(), by, a.URL) == nil }, testPatience, testPatience/100)
			require.LessOrEqual(t, a.proofs.Load(), int64(5))
		})
	}
}

func TestBehindAProxyThatKeepsTheConnectionTheFirstAnswerTells(t *testing.T) {
	t.Parallel()
	a := newAddress(t, true, true)
	by := a.provenTo(t)
	require.NoError(t, post(t.Context(), by, a.URL))
	a.lead("west")
	require.NoError(t, post(t.Context(), by, a.URL), "it is done, and nobody could know")
	for range 10 {
		require.ErrorIs(t, post(t.Context(), by, a.URL), errWest)
	}
	require.Equal(t, int64(1), a.writes("west"))
	a.lead("east")
	require.NoError(t, post(t.Context(), by, a.URL))
	a.lead("west")
	_, err := read(t.Context(), by, a.URL)
	require.ErrorIs(t, err, errWest, "an answer of another cluster is dropped")
}
