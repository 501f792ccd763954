package clusters

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/given"
)

// lane is one cluster as Penstock knows it.
type lane struct {
	name string // of the TargetCluster and of its namespace
	home *server
	link *link.Link
	// pipelines is how many Workflows a build has.
	pipelines int

	mu      sync.Mutex
	creates []time.Time    // when the API server had answered
	others  map[string]int // other requests, by method and path
}

// progress tells when each tenth Workflow since a time was created.
func (l *lane) progress(since time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var tenths []string
	count := 0
	for _, at := range l.creates {
		if at.After(since) {
			if count%10 == 0 {
				tenths = append(tenths, fmt.Sprintf("%.1f", at.Sub(since).Seconds()))
			}
			count++
		}
	}
	return "each tenth after " + strings.Join(tenths, " ") + " s"
}

// takeOthers returns the other requests since the last call.
func (l *lane) takeOthers() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.others
	l.others = map[string]int{}
	return taken
}

func (l *lane) note(request *http.Request, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/workflows") && code == http.StatusCreated {
		l.creates = append(l.creates, time.Now())
		return
	}
	path := strings.TrimPrefix(request.URL.Path, "/apis/argoproj.io/v1alpha1/namespaces/"+l.name)
	if request.URL.Query().Get("watch") != "" {
		path += "?watch"
	}
	l.others[fmt.Sprintf("%s %s %d", request.Method, path, code)]++
}

// created returns how many Workflows were created since a time, and when the last was.
func (l *lane) created(since time.Time) (count int, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.creates {
		if at.After(since) {
			count, last = count+1, at
		}
	}
	return count, last
}

type laneKey struct{}

// front is the proxy of all lanes: the first part of a path names the lane.
type front struct {
	*httptest.Server
	mu    sync.Mutex
	lanes map[string]*lane
}

func newFront() *front {
	f := &front{lanes: map[string]*lane{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.EnableHTTP2 = true
	f.StartTLS()
	return f
}

func (f *front) add(one *lane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lanes[one.name] = one
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.mu.Lock()
	one := f.lanes[name]
	f.mu.Unlock()
	if one == nil {
		http.NotFound(w, r)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), laneKey{}, one))
	r.URL.Path = "/" + path
	one.home.proxy.ServeHTTP(w, r)
}

// newProxy passes requests on to an API server.
func newProxy(config *rest.Config) (*httputil.ReverseProxy, error) {
	to, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	settings, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:      &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DisableCompression: true},
		FlushInterval:  -1,
		ModifyResponse: answer,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       log.New(io.Discard, "", 0),
	}, nil
}

// answer notes creates, and gives the lane the UID of a cluster of its own.
func answer(response *http.Response) error {
	one := response.Request.Context().Value(laneKey{}).(*lane)
	request := response.Request
	one.note(request, response.StatusCode)
	if request.URL.Path == "/api/v1/namespaces/kube-system" && response.StatusCode == http.StatusOK {
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		text = bytes.ReplaceAll(text, []byte(one.home.uid), []byte(given.UID(one.name)))
		response.Body = io.NopCloser(bytes.NewReader(text))
		response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
	return nil
}
