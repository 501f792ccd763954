package bounded

import "sync"

// ticket is a task's place in the line.
type ticket[T any] struct {
	task           T
	answer         chan error // holds one: nil when the task has started
	previous, next *ticket[T]
}

// line is where tasks wait, first come first served. It is a linked list through the tickets themselves, and tickets are
// used again, so that waiting allocates nothing.
type line[T any] struct {
	first, last *ticket[T]
	spare       sync.Pool
}

func (l *line[T]) push(task T) *ticket[T] {
	t, _ := l.spare.Get().(*ticket[T])
	if t == nil {
		t = &ticket[T]{answer: make(chan error, 1)}
	}
	t.task, t.previous = task, l.last
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
	return t
}

// pop takes the first ticket out of a line that is not empty, gives it its answer and returns its task.
func (l *line[T]) pop(answer error) T {
	t := l.first
	task := t.task
	l.remove(t)
	t.answer <- answer
	return task
}

func (l *line[T]) remove(t *ticket[T]) {
	if t.previous == nil {
		l.first = t.next
	} else {
		t.previous.next = t.next
	}
	if t.next == nil {
		l.last = t.previous
	} else {
		t.next.previous = t.previous
	}
	t.previous, t.next = nil, nil
	var none T
	t.task = none
}

// recycle takes a ticket back that is no longer in the line and whose answer was received. It needs no lock.
func (l *line[T]) recycle(t *ticket[T]) {
	l.spare.Put(t)
}
