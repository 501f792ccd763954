package receiver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Post is what a webhook was sent.
type Post struct {
	Path   string
	Header http.Header
	Body   string
}

// Hook takes what is posted to any path.
type Hook struct {
	server *httptest.Server

	mu     sync.Mutex
	posts  []Post
	answer http.HandlerFunc
}

// NewHook starts a receiver that ends with the test.
func NewHook(t testing.TB) *Hook {
	t.Helper()
	h := &Hook{}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

// URL is where it is posted to.
func (h *Hook) URL() string { return h.server.URL }

// Answer has posts answered by a handler, after they were noted; nil is 204.
func (h *Hook) Answer(answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// Posts are those so far.
func (h *Hook) Posts() []Post {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Post{}, h.posts...)
}

// ServeHTTP implements http.Handler.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.posts = append(h.posts, Post{Path: r.URL.Path, Header: r.Header.Clone(), Body: string(body)})
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
