package batch

import (
	"slices"
	"sync"
)

// buffer holds the items that wait, in the order of their places: the first item ever added has place 0.
type buffer[T any] struct {
	limit int
	rule  rule[T]
	added chan struct{} // holds one signal whenever there are items that Run has not been told of

	mu     sync.Mutex
	items  []T
	first  int // place of items[0]
	closed bool
}

// spare is for how many items room is kept when none waits: what a burst took is given back.
const spare = 1000

// rule says which waiting item, if any, a new one takes the place of.
type rule[T any] interface {
	// place returns the place of the item that this one replaces, or remembers next as its own and returns that.
	place(item T, next int) int
	// merge returns what waits in the place of an item and of the one that replaces it.
	merge(waiting, added T) T
	// has reports whether an item waits that this one would replace.
	has(item T) bool
	// forget is told that the item no longer waits.
	forget(item T)
}

func newBuffer[T any](limit int, rule rule[T]) *buffer[T] {
	return &buffer[T]{limit: limit, rule: rule, added: make(chan struct{}, 1)}
}

func (b *buffer[T]) add(item T) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if len(b.items) >= b.limit && !b.rule.has(item) {
		return ErrFull
	}
	i := b.rule.place(item, b.first+len(b.items)) - b.first
	if i < len(b.items) {
		b.items[i] = b.rule.merge(b.items[i], item)
		return nil
	}
	b.items = append(b.items, item)
	b.signal()
	return nil
}

// take removes up to n items from the front.
func (b *buffer[T]) take(n int) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, len(b.items))
	group := slices.Clone(b.items[:n])
	for _, item := range group {
		b.rule.forget(item)
	}
	b.items = slices.Delete(b.items, 0, n)
	if len(b.items) == 0 && cap(b.items) > spare {
		b.items = nil
	}
	b.first += n
	b.signal()
	return group
}

// signal makes added hold a signal exactly while there are items. The caller holds the lock.
func (b *buffer[T]) signal() {
	if len(b.items) == 0 {
		select {
		case <-b.added:
		default:
		}
		return
	}
	select {
	case b.added <- struct{}{}:
	default:
	}
}

func (b *buffer[T]) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// closeIfEmpty refuses all later items, unless some wait; it reports whether it has.
func (b *buffer[T]) closeIfEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = len(b.items) == 0
	return b.closed
}

// close refuses all later items and returns how many wait.
func (b *buffer[T]) close() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return len(b.items)
}

// keepAll replaces nothing.
type keepAll[T any] struct{}

func (keepAll[T]) place(_ T, next int) int { return next }
func (keepAll[T]) merge(_, added T) T      { return added }
func (keepAll[T]) has(T) bool              { return false }
func (keepAll[T]) forget(T)                {}

// keepOne keeps one item under each key.
type keepOne[K comparable, T any] struct {
	key    func(T) K
	join   func(waiting, added T) T
	places map[K]int
	most   int // that places has ever had: a map never shrinks
}

func (k *keepOne[K, T]) place(item T, next int) int {
	key := k.key(item)
	if place, waits := k.places[key]; waits {
		return place
	}
	k.places[key] = next
	k.most = max(k.most, len(k.places))
	return next
}

func (k *keepOne[K, T]) merge(waiting, added T) T { return k.join(waiting, added) }

func (k *keepOne[K, T]) has(item T) bool {
	_, waits := k.places[k.key(item)]
	return waits
}

func (k *keepOne[K, T]) forget(item T) {
	delete(k.places, k.key(item))
	if len(k.places) == 0 && k.most > spare {
		k.places, k.most = map[K]int{}, 0
	}
}
