package limit

import (
	"container/list"
	"slices"
)

// lanes are the waiters of one class. The lanes that have any are served round robin, one waiter each, however many wait in
// each. A lane without waiters is forgotten: it saves up no turns.
type lanes struct {
	order   []*lane // by whose turn is next
	waiting int     // in all of them
}

// lane is never empty.
type lane struct {
	name string
	line *list.List // of *waiter
}

// push lets w wait at the end of its lane. A lane that had nobody waiting has its turn after all others.
func (l *lanes) push(w *waiter) {
	i := l.index(w.lane)
	if i < 0 {
		i = len(l.order)
		l.order = append(l.order, &lane{name: w.lane, line: list.New()})
	}
	w.place = l.order[i].line.PushBack(w)
	l.waiting++
}

// remove takes w out of its lane, whose turn stays where it is.
func (l *lanes) remove(w *waiter) {
	i := l.index(w.lane)
	l.order[i].line.Remove(w.place)
	if l.order[i].line.Len() == 0 {
		l.order = slices.Delete(l.order, i, i+1)
	}
	l.waiting--
}

// pop removes the waiter whose turn it is, and passes the turn to the next lane.
func (l *lanes) pop() *waiter {
	first := l.order[0]
	copy(l.order, l.order[1:])
	l.order[len(l.order)-1] = first
	w, _ := first.line.Front().Value.(*waiter)
	l.remove(w)
	return w
}

// oldest is who has waited longest in the lane whose turn is next; nil where nobody waits.
func (l *lanes) oldest() *waiter {
	if l.waiting == 0 {
		return nil
	}
	w, _ := l.order[0].line.Front().Value.(*waiter)
	return w
}

// position is the turn of the last waiter of a lane if nobody comes or leaves; 1 is the next. It is in the round given by
// its place in the lane. Until then each other lane has one turn a round while it has waiters, but those behind it in the
// order have none in the last round.
func (l *lanes) position(name string) (position int) {
	own := l.index(name)
	rounds := l.order[own].line.Len()
	for i, lane := range l.order {
		turns := rounds
		if i > own {
			turns--
		}
		position += min(lane.line.Len(), turns)
	}
	return position
}

func (l *lanes) index(name string) int {
	return slices.IndexFunc(l.order, func(l *lane) bool { return l.name == name })
}
