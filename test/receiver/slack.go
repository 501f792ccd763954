// Package receiver is who is notified in tests: servers on loopback that take what Slack, a
// mail server or a webhook would, and require what their published limits are.
package receiver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// SlackRequest is a call of chat.postMessage or chat.update.
type SlackRequest struct {
	// Method is the last part of the path.
	Method, Token, Channel, Timestamp, Text string
	// ID and Version are of the message's metadata.
	ID      string
	Version int
}

// Slack answers as Slack's API does.
type Slack struct {
	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	requests []SlackRequest
	posted   int
	answer   func(SlackRequest) (status int, body string)
}

// NewSlack starts a Slack that ends with the test.
func NewSlack(t testing.TB) *Slack {
	t.Helper()
	s := &Slack{t: t}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// URL is where its API answers.
func (s *Slack) URL() string { return s.server.URL + "/api/" }

// Answer has requests answered by a function; a status of 0 means as usual.
func (s *Slack) Answer(answer func(SlackRequest) (status int, body string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Requests are those so far.
func (s *Slack) Requests() []SlackRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SlackRequest{}, s.requests...)
}

// ServeHTTP implements http.Handler.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := SlackRequest{
		Method: strings.TrimPrefix(r.URL.Path, "/api/"), Token: r.FormValue("token"), Channel: r.FormValue("channel"), Timestamp: r.FormValue("ts"), Text: r.FormValue("text"),
	}
	var metadata struct {
		Payload struct {
			ID      string `json:"id"`
			Version int    `json:"version"`
		} `json:"event_payload"`
	}
	_ = json.Unmarshal([]byte(r.FormValue("metadata")), &metadata)
	got.ID, got.Version = metadata.Payload.ID, metadata.Payload.Version
	if err := CheckSlack(got.Text, r.FormValue("blocks")); err != nil {
		s.t.Errorf("Slack would refuse: %s", err)
	}
	s.mu.Lock()
	s.requests = append(s.requests, got)
	answer := s.answer
	if got.Method == "chat.postMessage" {
		s.posted++
	}
	at := s.posted
	s.mu.Unlock()
	status, body := 0, ""
	if answer != nil {
		status, body = answer(got)
	}
	if status == 0 {
		status, body = http.StatusOK, fmt.Sprintf(`{"ok":true,"channel":"C1","ts":"%d.1"}`, at)
	}
	w.Header().Set("Retry-After", "2")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// CheckSlack requires what docs.slack.dev/reference/block-kit/blocks says: at most 50 blocks, a
// header of at most 150 characters of plain text, a section of at most 3,000; and a text of at
// most 4,000.
func CheckSlack(text, encoded string) error {
	var blocks []struct {
		Type string
		Text struct{ Type, Text string }
	}
	if err := json.Unmarshal([]byte(encoded), &blocks); err != nil {
		return fmt.Errorf("blocks: %w: %s", err, encoded)
	}
	if len(blocks) == 0 || len(blocks) > 50 {
		return fmt.Errorf("%d blocks", len(blocks))
	}
	if characters := utf8.RuneCountInString(text); characters == 0 || characters > 4000 {
		return fmt.Errorf("text of %d characters", characters)
	}
	limits := map[string]int{"header plain_text": 150, "section mrkdwn": 3000}
	for _, block := range blocks {
		limit, known := limits[block.Type+" "+block.Text.Type]
		if characters := utf8.RuneCountInString(block.Text.Text); !known || characters == 0 || characters > limit {
			return fmt.Errorf("a %s of %s has %d characters", block.Type, block.Text.Type, characters)
		}
	}
	return nil
}
