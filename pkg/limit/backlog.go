package limit

import "sync"

// Backlog is the gate before a cluster that has enough to do: it is closed while at least a limit of Workflows are
// unfinished. All methods may be called at any time from any goroutine.
type Backlog struct {
	onChange func()

	mu     sync.Mutex
	limit  int
	active int
	closed bool
}

// NewBacklog returns an open gate that tells, from whatever goroutine, each time that it has closed or opened. A limit of 0
// or less never closes it.
func NewBacklog(limit int, onChange func()) *Backlog {
	return &Backlog{limit: limit, onChange: onChange}
}

// SetLimit changes the limit. A gate that is closed opens with the next Room, or at once where there is no limit any more.
func (b *Backlog) SetLimit(limit int) {
	b.change(func() {
		b.limit = limit
		b.closed = b.closed && limit > 0
	})
}

// Limit returns the limit; 0 or less where there is none.
func (b *Backlog) Limit() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit
}

// Room returns how many of wanted may be added to the unfinished ones. The gate closes when there is room for none, and
// opens again when there is room for all that are wanted: between the two it stays as it is, or it would flutter with every
// Workflow that ends.
func (b *Backlog) Room(wanted, active int) (room int) {
	b.change(func() {
		b.active, room = active, wanted
		if b.limit <= 0 {
			return
		}
		room = min(max(b.limit-active, 0), wanted)
		b.closed = room == 0 || (b.closed && room < wanted)
	})
	return room
}

// Drained opens the gate: nothing waits before it.
func (b *Backlog) Drained() { b.change(func() { b.closed = false }) }

// Closed tells whether the gate holds triggers back, and how many Workflows of at most how many were unfinished when it
// was asked last.
func (b *Backlog) Closed() (closed bool, active, limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed, b.active, b.limit
}

func (b *Backlog) change(do func()) {
	b.mu.Lock()
	before := b.closed
	do()
	after := b.closed
	b.mu.Unlock()
	if before != after {
		b.onChange()
	}
}
