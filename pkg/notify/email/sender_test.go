package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/test/loopback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func message() notify.Message {
	return notify.Message{
		ID: "ntf_1", Version: 1, Type: "RunFailed", Level: notify.Failure, Title: "shop: 97 of 100 deployed, 3 failed",
		Details: []notify.Detail{{Name: "web-1", Text: "stage DEPLOY failed", URL: "https://penstock.example.org/runs/1"}}, Omitted: 2,
		Commands: []string{"kubectl penstock builds shop-1 -n team"}, URL: "https://penstock.example.org/apps/team/shop",
		Time: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
	}
}

// letter is one that a server took.
type letter struct {
	user, from string
	to         []string
	text       string
}

// server is a real SMTP server. Each field is decided before it starts.
type server struct {
	roots *x509.CertPool
	host  string
	port  int
	// refuse is answered to each letter. Optional.
	refuse error

	mu      sync.Mutex
	letters []letter
}

func (s *server) taken() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.letters
}

func startServer(t *testing.T, security Security, refuse error) *server {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS() // has a certificate for 127.0.0.1
	certificates := certified.TLS.Certificates
	s := &server{roots: x509.NewCertPool(), refuse: refuse}
	s.roots.AddCert(certified.Certificate())
	certified.Close()
	relay := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	relay.Domain = "relay.example.org"
	if security != None {
		relay.TLSConfig = &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := netip.MustParseAddrPort(listener.Addr().String())
	s.host, s.port = address.Addr().String(), int(address.Port())
	if security == TLS {
		listener = tls.NewListener(listener, relay.TLSConfig)
	}
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
	return s
}

type session struct {
	server *server
	letter letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "right" {
			return smtp.ErrAuthFailed
		}
		s.letter.user = user
		return nil
	}), nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.letter.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.letter.to = append(s.letter.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.refuse != nil {
		return s.server.refuse
	}
	s.letter.text = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.letters = append(s.server.letters, s.letter)
	return nil
}

func (s *server) sender(security Security, change func(*Config)) *Sender {
	config := Config{
		Dial: loopback.Guard().DialContext, Host: s.host, Port: s.port, Security: security, TLS: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
		User: "penstock", Password: "right", From: "Penstock <ci@example.org>", To: []string{"team@example.org", "lead@example.org"},
	}
	if change != nil {
		change(&config)
	}
	return New(config)
}

func TestALetterArrivesOverEachKindOfConnection(t *testing.T) {
	t.Parallel()
	for security, user := range map[Security]string{StartTLS: "penstock", TLS: "penstock", None: ""} {
		t.Run(string(security), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, security, nil)
			reference, err := s.sender(security, nil).Send(t.Context(), message(), "")
			require.NoError(t, err)
			require.Equal(t, "ntf_1.1@example.org", reference)
			require.Len(t, s.taken(), 1)
			got := s.taken()[0]
			require.Equal(t, user, got.user, "a password needs an encrypted connection")
			require.Equal(t, "ci@example.org", got.from)
			require.Equal(t, []string{"team@example.org", "lead@example.org"}, got.to)
			read, err := mail.ReadMessage(strings.NewReader(got.text))
			require.NoError(t, err)
			require.Equal(t, "shop: 97 of 100 deployed, 3 failed", read.Header.Get("Subject"))
			require.Equal(t, "<ntf_1.1@example.org>", read.Header.Get("Message-ID"))
			for _, part := range []string{"web-1: stage DEPLOY failed", "and 2 more", "kubectl penstock builds shop-1 -n team", "https://penstock.example.org/apps/team/shop"} {
				require.Contains(t, got.text, part)
			}
		})
	}
}

func TestANewerVersionAnswersTheFirst(t *testing.T) {
	t.Parallel()
	s := startServer(t, StartTLS, nil)
	newer := message()
	newer.Version = 3
	reference, err := s.sender(StartTLS, nil).Send(t.Context(), newer, "ntf_1.1@example.org")
	require.NoError(t, err)
	require.Equal(t, "ntf_1.1@example.org", reference)
	read, err := mail.ReadMessage(strings.NewReader(s.taken()[0].text))
	require.NoError(t, err)
	require.Equal(t, "<ntf_1.3@example.org>", read.Header.Get("Message-ID"))
	require.Equal(t, "<ntf_1.1@example.org>", read.Header.Get("In-Reply-To"))
	require.Equal(t, "<ntf_1.1@example.org>", read.Header.Get("References"))
}

func TestASubjectIsOneLineThatAddsNoHeader(t *testing.T) {
	t.Parallel()
	s := startServer(t, StartTLS, nil)
	evil := message()
	evil.Title = "ünïcode\r\nBcc: thief@example.org\r\n\r\nbody" + strings.Repeat(" more", 100)
	_, err := s.sender(StartTLS, nil).Send(t.Context(), evil, "")
	require.NoError(t, err)
	read, err := mail.ReadMessage(strings.NewReader(s.taken()[0].text))
	require.NoError(t, err)
	require.Empty(t, read.Header.Get("Bcc"))
	require.Equal(t, []string{"team@example.org", "lead@example.org"}, s.taken()[0].to)
	subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(subject, "ünïcode Bcc: thief@example.org body more"), subject)
	require.LessOrEqual(t, len(subject), maxSubject)
}

func TestAnAnswerIsFinalOrNot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer  error
		change  func(*Config)
		refused bool
		says    string
	}{
		"a letter that is refused":      {&smtp.SMTPError{Code: 554, Message: "no spam here"}, nil, true, `554 "5.0.0 no spam here"`},
		"a server that is busy":         {&smtp.SMTPError{Code: 451, Message: "come back"}, nil, false, `451 "4.0.0 come back"`},
		"a wrong password":              {nil, func(c *Config) { c.Password = "wrong-secret" }, true, "correct user and password in the Secret"},
		"a certificate that is unknown": {nil, func(c *Config) { c.TLS = nil }, false, "certificate is not trusted"},
		"a sender that is no address":   {nil, func(c *Config) { c.From = "nobody" }, true, `the sender "nobody" is no address`},
		"a receiver that is no address": {nil, func(c *Config) { c.To = []string{"a@b\r\nRCPT TO:<x@y>"} }, true, "is no address"},
		"an address that is private":    {nil, func(c *Config) { c.Dial = outbound.New(outbound.Config{}).DialContext }, true, "OUTBOUND_ALLOWED_NETWORKS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, StartTLS, test.answer)
			_, err := s.sender(StartTLS, test.change).Send(t.Context(), message(), "")
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "wrong-secret")
			var refused *notify.RefusedError
			require.Equal(t, test.refused, errors.As(err, &refused))
			require.Empty(t, s.taken())
		})
	}
}

func TestAServerWithoutSTARTTLSIsGivenNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t, None, nil)
	_, err := s.sender(StartTLS, nil).Send(t.Context(), message(), "")
	require.ErrorContains(t, err, "STARTTLS")
	require.Empty(t, s.taken())
}

func TestAServerThatDoesNotAnswerEndsWithTheContext(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	address := netip.MustParseAddrPort(listener.Addr().String())
	s := &server{host: address.Addr().String(), port: int(address.Port())}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = s.sender(StartTLS, nil).Send(ctx, message(), "")
	require.Error(t, err)
	require.Less(t, time.Since(began), timeout, "the context ends it")
}
