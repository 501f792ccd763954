package receiver

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// Letter is an e-mail as it was sent.
type Letter struct {
	From string
	To   []string
	Text string
}

// Mail is a real mail server without encryption.
type Mail struct {
	Host string
	Port int

	mu      sync.Mutex
	letters []Letter
	refuse  error
}

// NewMail starts a mail server that ends with the test.
func NewMail(t testing.TB) *Mail {
	t.Helper()
	m := &Mail{}
	relay := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{mail: m}, nil }))
	relay.Domain = "relay.example.org"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := netip.MustParseAddrPort(listener.Addr().String())
	m.Host, m.Port = address.Addr().String(), int(address.Port())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = relay.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = relay.Close()
		_ = listener.Close() // which the server may not know of yet
		<-done
	})
	return m
}

// Letters are those that were taken so far.
func (m *Mail) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter{}, m.letters...)
}

// Refuse has each letter refused with an error, such as a *smtp.SMTPError; nil takes them again.
func (m *Mail) Refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = err
}

func (m *Mail) take(letter Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	m.letters = append(m.letters, letter)
	return nil
}

type session struct {
	mail   *Mail
	letter Letter
}

// Reset implements smtp.Session.
func (s *session) Reset() {}

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.letter = Letter{From: from}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.To = append(s.letter.To, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return errors.New("cut")
	}
	s.letter.Text = string(text)
	return s.mail.take(s.letter)
}
