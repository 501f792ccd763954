package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// poolModel is what a pool promises, without a lock or a goroutine: who runs, who
// waits, and what everybody was told.
type poolModel struct {
	limit, peak      int
	running, waiting []int
	closed           bool
	began            map[int]time.Duration // since the start, for those that run
	answers, ends    map[int]string        // what Go returned; what Done was told
}

// poolState is what can be seen of a pool.
type poolState struct {
	Limit, InFlight, Free, Peak int
	Running                     []int
	Answers, Ends               map[int]string
}

func newPoolModel(limit int) *poolModel {
	return &poolModel{limit: max(limit, 1), began: map[int]time.Duration{}, answers: map[int]string{}, ends: map[int]string{}}
}

func (m *poolModel) state() poolState {
	running := append([]int{}, m.running...)
	slices.Sort(running)
	return poolState{
		Limit: m.limit, InFlight: len(running), Free: max(m.limit-len(running), 0), Peak: m.peak,
		Running: running, Answers: m.answers, Ends: m.ends,
	}
}

// offer is a call of Go.
func (m *poolModel) offer(task int, now time.Duration) {
	if m.closed {
		m.answers[task] = text(bounded.ErrClosed)
		return
	}
	m.waiting = append(m.waiting, task)
	m.fill(now)
}

// fill starts those that wait, in their order, while there is a slot.
func (m *poolModel) fill(now time.Duration) {
	for len(m.waiting) > 0 && len(m.running) < m.limit {
		task := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.running = append(m.running, task)
		m.began[task], m.answers[task] = now, text(nil)
		m.peak = max(m.peak, len(m.running))
	}
}

// cancel ends the context of a call of Go that waits.
func (m *poolModel) cancel(task int) {
	m.waiting = slices.DeleteFunc(m.waiting, func(other int) bool { return other == task })
	m.answers[task] = text(context.Canceled)
}

// end is the end of a task that runs.
func (m *poolModel) end(task int, how string, now time.Duration) {
	m.running = slices.DeleteFunc(m.running, func(other int) bool { return other == task })
	m.ends[task] = how
	m.fill(now)
}

func (m *poolModel) setLimit(limit int, now time.Duration) {
	m.limit = max(limit, 1)
	m.fill(now)
}

// shutdown closes the pool; at once also ends the contexts of those that run, which
// the deaf ignore.
func (m *poolModel) shutdown(atOnce bool, deaf func(int) bool, now time.Duration) {
	m.closed = true
	for _, task := range m.waiting {
		m.answers[task] = text(bounded.ErrClosed)
	}
	m.waiting = nil
	for _, task := range slices.Clone(m.running) {
		if atOnce && !deaf(task) {
			m.end(task, text(bounded.ErrClosed), now)
		}
	}
}

// advance moves the clock: those that run for as long as the timeout end, unless
// they are deaf.
func (m *poolModel) advance(from, to, timeout time.Duration, deaf func(int) bool) {
	for now := from; now <= to; now++ {
		for _, task := range slices.Clone(m.running) {
			if m.began[task]+timeout == now && !deaf(task) {
				m.end(task, text(&bounded.TimeoutError{After: timeout}), now)
			}
		}
	}
}

// text is an error as the states compare it.
func text(err error) string {
	var panicked *bounded.PanicError
	if errors.As(err, &panicked) {
		return fmt.Sprint("panic ", panicked.Value)
	}
	return fmt.Sprint(err)
}
