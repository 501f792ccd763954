package fault

import (
	"errors"
	"strings"
	"time"
)

// replies passes on what the server sends. Once the session is ready, a reply is
// held back until it is whole: until the server says that it is ready again.
func (s *session) replies() error {
	var held []byte
	for started, failed := false, false; ; {
		kind, body, err := readMessage(s.fromServer)
		if err != nil {
			return err
		}
		held = append(append(held, kind), framed(body)...)
		fate := Deliver
		switch kind {
		case 'Z':
			started = true
			fate = s.decide(body, failed)
			failed = false
		case 'E':
			failed = true
		}
		if started && !strings.ContainsRune(endsReply, rune(kind)) {
			continue
		}
		if err := s.deliver(held, fate); err != nil {
			return err
		}
		held = nil
	}
}

// endsReply are the kinds of message after which the server waits for the client:
// it is ready, or it copies.
const endsReply = "ZGHW"

// decide asks what becomes of the reply that ends with this state of the session:
// only outside of a transaction is anything committed.
func (s *session) decide(state []byte, failed bool) Fate {
	const idle = 'I'
	if len(state) != 1 || state[0] != idle {
		return Deliver
	}
	exchange := s.over()
	_, judge := s.proxy.settings()
	if judge == nil || failed || !exchange.committed() {
		return Deliver
	}
	return judge(exchange)
}

// over ends the exchange that is under way.
func (s *session) over() Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	exchange := Exchange{Statements: s.executed}
	s.executed = nil
	return exchange
}

func (s *session) deliver(reply []byte, fate Fate) error {
	switch fate {
	case CutInstead:
		return errors.New("cut in place of a reply")
	case Swallow:
		<-s.ctx.Done()
		return s.ctx.Err()
	}
	if latency, _ := s.proxy.settings(); latency > 0 {
		select {
		case <-time.After(latency):
		case <-s.ctx.Done():
		}
	}
	if err := s.proxy.stalled.Pass(s.ctx); err != nil {
		return err
	}
	_, err := s.client.Write(reply)
	return err
}
