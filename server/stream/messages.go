package stream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Messages is a stream of messages that are no events of Postgres. It has no place to
// resume from.
type Messages struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	// HasBegun is true once something was sent: until then the answer can still be an error.
	HasBegun bool
}

// Messages returns an answer as a stream. The stream must have been entered.
func (h *Hub) Messages(w http.ResponseWriter) *Messages {
	return &Messages{w: w, control: http.NewResponseController(w), timeout: h.config.WriteTimeout}
}

// Send sends a message with data as JSON. An error means that the client is gone.
func (m *Messages) Send(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	return m.send(event, text)
}

// End sends why the stream ends before its time.
func (m *Messages) End(err error) { _ = m.send("problem", problemOf(err)) }

func (m *Messages) send(event string, text []byte) error {
	if !m.HasBegun {
		m.HasBegun = true
		begin(m.w, m.control)
	}
	_ = m.control.SetWriteDeadline(time.Now().Add(m.timeout))
	defer func() { _ = m.control.SetWriteDeadline(time.Time{}) }() // as in session.write
	fmt.Fprintf(m.w, "event: %s\ndata: %s\n\n", event, text)
	if err := m.control.Flush(); err != nil {
		return fmt.Errorf("write to client: %w", err)
	}
	return nil
}

// begin writes the headers of a stream.
func begin(w http.ResponseWriter, control *http.ResponseController) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx must not wait for more
	// A stream has no end to wait for; each write has its own deadline instead.
	_ = control.SetReadDeadline(time.Time{})
}
