// Package email sends notifications by SMTP.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/notify"
)

// Security is how a connection is encrypted.
type Security string

// Securities.
const (
	// StartTLS is on the submission port, 587 (RFC 6409). A server that does not offer it is
	// refused.
	StartTLS Security = "STARTTLS"
	// TLS is from the first byte, on port 465 (RFC 8314).
	TLS Security = "TLS"
	// None is for relays in a network that is trusted. No password is sent.
	None Security = "None"
)

const (
	// timeout bounds the connection, and then the conversation.
	timeout = 20 * time.Second
	// maxSubject bounds a subject, in bytes: what mail programs show.
	maxSubject = 200
)

// Config is a mail server and who is written to.
type Config struct {
	// Dial connects, such as outbound.Guard.DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Host string
	// Port defaults to that of Security: 587, 465 or 25.
	Port     int
	Security Security
	// TLS holds further roots. Optional; its ServerName is Host.
	TLS *tls.Config
	// User and Password log in. Empty means without.
	User, Password string
	From           string
	To             []string
}

// Sender writes one e-mail for each message.
type Sender struct{ config Config }

// New returns a Sender.
func New(config Config) *Sender { return &Sender{config: config} }

// Send implements notify.Sender. The reference is the Message-ID of the first version, which
// later ones answer to, so that a mail program shows them together. It is the same when a
// delivery is repeated.
func (s *Sender) Send(ctx context.Context, message notify.Message, reference string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	letter, id, err := s.letter(message, reference)
	if err != nil {
		return "", err
	}
	client, err := s.client(ctx)
	if err != nil {
		return "", notify.Refuse("e-mail: %s", err)
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", judge(err)
	}
	// The letter is delivered or not, whatever the server says to the goodbye.
	defer func() { _ = client.CloseWithSMTPClient(connection) }()
	if err := client.SendWithSMTPClient(connection, letter); err != nil {
		return "", judge(err)
	}
	if reference == "" {
		return id, nil
	}
	return reference, nil
}

func (s *Sender) letter(message notify.Message, reference string) (letter *mail.Msg, id string, err error) {
	letter = mail.NewMsg()
	if err := letter.From(s.config.From); err != nil {
		return nil, "", notify.Refuse("e-mail: the sender %q is no address: %s", s.config.From, err)
	}
	for _, to := range s.config.To {
		if err := letter.AddTo(to); err != nil {
			return nil, "", notify.Refuse("e-mail: the receiver %q is no address: %s", to, err)
		}
	}
	_, domain, _ := strings.Cut(strings.TrimRight(s.config.From, "> "), "@")
	id = fmt.Sprintf("%s.%d@%s", message.ID, message.Version, domain)
	letter.SetMessageIDWithValue(id)
	if reference != "" {
		letter.SetGenHeader(mail.HeaderInReplyTo, "<"+reference+">")
		letter.SetGenHeader(mail.HeaderReferences, "<"+reference+">")
	}
	letter.Subject(clip.Text(strings.Join(strings.Fields(message.Title), " "), maxSubject))
	letter.SetDateWithValue(message.Time)
	letter.SetBulk()
	letter.SetBodyString(mail.TypeTextPlain, body(message))
	return letter, id, nil
}

// body is plain text.
func body(message notify.Message) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", message.Title)
	for _, detail := range message.Details {
		fmt.Fprintf(&text, "\n%s: %s\n", detail.Name, detail.Text)
		if detail.URL != "" {
			fmt.Fprintf(&text, "  %s\n", detail.URL)
		}
	}
	if message.Omitted > 0 {
		fmt.Fprintf(&text, "\nand %d more\n", message.Omitted)
	}
	for _, command := range message.Commands {
		fmt.Fprintf(&text, "\n  %s\n", command)
	}
	if message.URL != "" {
		fmt.Fprintf(&text, "\n%s\n", message.URL)
	}
	return text.String()
}

// client is for one conversation, which ends with the context.
func (s *Sender) client(ctx context.Context) (*mail.Client, error) {
	encryption := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.config.TLS != nil {
		encryption = s.config.TLS.Clone()
	}
	encryption.ServerName = s.config.Host
	options := []mail.Option{
		mail.WithTimeout(timeout), mail.WithTLSConfig(encryption), mail.WithDialContextFunc(s.dial(ctx, encryption)), mail.WithoutNoop(), mail.WithoutRset(),
	}
	switch s.config.Security {
	case TLS:
		options = append(options, mail.WithSSL(), mail.WithPort(s.port(465)))
	case None:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS), mail.WithPort(s.port(25)))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithPort(s.port(587)))
	}
	if s.config.User != "" && s.config.Security != None {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthPlain), mail.WithUsername(s.config.User), mail.WithPassword(s.config.Password))
	}
	return mail.NewClient(s.config.Host, options...)
}

func (s *Sender) port(usual int) int {
	if s.config.Port != 0 {
		return s.config.Port
	}
	return usual
}

// dial returns a connection that closes with the conversation's context, which the library
// looks at until it is connected. It encrypts from the first byte where that is wanted: the
// library does so for its own dialer only.
func (s *Sender) dial(conversation context.Context, encryption *tls.Config) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := s.config.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(conversation, func() { _ = plain.Close() })
		if s.config.Security != TLS {
			return plain, nil
		}
		encrypted := tls.Client(plain, encryption)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, plain.Close())
		}
		return encrypted, nil
	}
}

// judge tells a final answer (RFC 5321, 4.2.1: 5yz) from one that may change.
func judge(err error) error {
	var answer *textproto.Error
	if errors.As(err, &answer) && answer.Code >= 500 {
		return notify.Refuse("e-mail: %d %s%s", answer.Code, answer.Msg, remedy(answer.Code))
	}
	var failed *mail.SendError
	if errors.As(err, &failed) && failed.ErrorCode() >= 500 {
		return notify.Refuse("e-mail: %s", failed)
	}
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		return fmt.Errorf("e-mail: the server's certificate is not trusted: %w", err)
	}
	return notify.Fail("e-mail", err)
}

func remedy(code int) string {
	if code == 535 { // RFC 4954, 6
		return ": correct user and password in the Secret"
	}
	return ""
}
