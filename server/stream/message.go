package stream

import (
	"encoding/json"
	"sync"

	"github.com/penstock-cd/penstock/pkg/view"
)

// message is one event and its JSON, which is made once for all clients that see it.
type message struct {
	view.Event

	once sync.Once
	text []byte
}

func (m *message) json() []byte {
	m.once.Do(func() {
		// An event has strings, numbers and times alone, which can be encoded.
		m.text, _ = json.Marshal(m.Event.Event)
	})
	return m.text
}

func messages(events []view.Event) []*message {
	batch := make([]*message, len(events))
	for i := range events {
		batch[i] = &message{Event: events[i]}
	}
	return batch
}

// before tells whether a position comes before another.
func before(a, b view.Position) bool {
	return a.XID < b.XID || (a.XID == b.XID && a.ID < b.ID)
}
