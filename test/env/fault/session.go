package fault

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// session is one connection, and what is being asked on it.
type session struct {
	proxy                  *Postgres
	client, server         net.Conn
	fromClient, fromServer *bufio.Reader
	ctx                    context.Context //nolint:containedctx // the life of the connection
	cancel                 context.CancelFunc

	mu       sync.Mutex
	prepared map[string]string
	bound    string
	executed []string
}

// The first message's code, where it asks for something else than a session.
const (
	codeCancel        = 80877102
	codeSSL           = 80877103
	codeGSSEncryption = 80877104
)

func newSession(proxy *Postgres, client, server net.Conn) *session {
	s := &session{
		proxy: proxy, client: client, server: server, prepared: map[string]string{},
		fromClient: bufio.NewReader(client), fromServer: bufio.NewReader(server),
	}
	s.ctx, s.cancel = context.WithCancel(proxy.ctx)
	context.AfterFunc(s.ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	return s
}

// run carries until either side ends the session, or cancel does.
func (s *session) run() {
	defer s.cancel()
	if err := s.startup(); err != nil {
		return
	}
	var group sync.WaitGroup
	for _, carry := range []func() error{s.requests, s.replies} {
		group.Go(func() {
			_ = carry() // however it ended, the session is over
			s.cancel()
		})
	}
	group.Wait()
}

// startup passes on the first message, and says no to encryption.
func (s *session) startup() error {
	for {
		body, err := readBody(s.fromClient)
		if err != nil {
			return err
		}
		if len(body) < 4 {
			return errors.New("startup message without a code")
		}
		if err := s.proxy.stalled.Pass(s.ctx); err != nil {
			return err
		}
		switch binary.BigEndian.Uint32(body) {
		case codeSSL, codeGSSEncryption:
			if _, err := s.client.Write([]byte("N")); err != nil {
				return err
			}
		case codeCancel:
			_, err := s.server.Write(framed(body))
			return errors.Join(err, errors.New("a cancel request has no session"))
		default:
			_, err := s.server.Write(framed(body))
			return err
		}
	}
}

// requests passes on what the client sends, and notes what it executes.
func (s *session) requests() error {
	for {
		kind, body, err := readMessage(s.fromClient)
		if err != nil {
			return err
		}
		if err := s.note(kind, body); err != nil {
			return err
		}
		if err := s.proxy.stalled.Pass(s.ctx); err != nil {
			return err
		}
		if _, err := s.server.Write(append([]byte{kind}, framed(body)...)); err != nil {
			return err
		}
	}
}

// note remembers, of the extended protocol, which statement is executed.
func (s *session) note(kind byte, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case 'Q':
		var query pgproto3.Query
		err := query.Decode(body)
		s.executed = append(s.executed, query.String)
		return err
	case 'P':
		var parse pgproto3.Parse
		err := parse.Decode(body)
		s.prepared[parse.Name] = parse.Query
		return err
	case 'B':
		var bind pgproto3.Bind
		err := bind.Decode(body)
		s.bound = s.prepared[bind.PreparedStatement]
		return err
	case 'E':
		s.executed = append(s.executed, s.bound)
	}
	return nil
}
