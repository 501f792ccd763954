// Package batch commits items in groups: it observes items that are added one at a time, and hands them to one flush after
// the other (group commit), so that a thousand items cost a few database round trips.
//
// An item that comes after a quiet time is flushed at once; those that come meanwhile go together in the next group. So
// groups are small when there is little to do, and as large as they need to be when there is much; nobody tunes a delay.
package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/pause"
)

var (
	// ErrFull says that MaxWaiting items wait already, because Flush is too slow or fails. The item was not taken.
	ErrFull = errors.New("too many items wait to be flushed")

	// ErrClosed says that Run has ended, or that it was called before. An item was not taken.
	ErrClosed = errors.New("committer is closed")
)

// Config says how a Committer flushes. Flush is required.
type Config[T any] struct {
	// Flush commits a group of 1 to MaxSize items, in the order in which they were added. After an error, a panic included,
	// it is called with the same group again, or with parts of it, until it succeeds: it must bear a group that was committed before although
	// the answer was lost, and an item that can never be committed is its own to set aside. It must obey its context, and
	// must not change the slice.
	Flush func(ctx context.Context, items []T) error

	// Splits tells whether a group that failed with this error is flushed again in halves: where one item may hold up all
	// others, as a row that somebody else keeps locked, those others are committed without it. Optional.
	Splits func(err error) bool

	// FlushTimeout ends the context of one call of Flush. Defaults to 10 s.
	FlushTimeout time.Duration

	// MinInterval is the least time from the start of one flush to the start of the next. Defaults to 50 ms; below 0 means
	// none. It is not kept while Run drains.
	MinInterval time.Duration

	// MaxSize is how many items one flush has at most. Defaults to 500.
	MaxSize int

	// MaxWaiting is how many items wait at most, those that are being flushed not counted. Defaults to 10,000.
	MaxWaiting int

	// DrainTimeout is how long Run goes on flushing after its context has ended. Defaults to 5 s.
	DrainTimeout time.Duration

	// OnFlush is told the size of a group that was committed, and how long the flush took. Optional.
	OnFlush func(items int, took time.Duration)

	// OnError is told why a flush failed, how many items it had, and when it is tried again. Optional. What makes Run give
	// up is returned by Run instead.
	OnError func(err error, items int, retryIn time.Duration)
}

// Committer gathers items and flushes them in groups, in order, none lost, while Run runs. Add and Waiting may be called
// at any time from any goroutine.
type Committer[T any] struct {
	config  Config[T]
	waiting *buffer[T]
	ran     atomic.Bool

	lastFlush time.Time // when the last one began; only Run touches it
}

// New returns a Committer that flushes every item. It panics without Flush.
func New[T any](config Config[T]) *Committer[T] {
	return newCommitter(config, keepAll[T]{})
}

// NewCoalescing returns a Committer where an item takes the place of one that waits under the same key: for states of
// which only the latest matters. Items that are being flushed no longer wait, so one key may be in two groups in a row.
// The rule holds from Add to Flush; a group never has one key twice.
func NewCoalescing[K comparable, T any](config Config[T], key func(T) K) *Committer[T] {
	return NewMerging(config, key, func(_, added T) T { return added })
}

// NewMerging is NewCoalescing where merge says what waits in the place of the two: for states that may be told out of
// order. It is called under a lock, and must not block.
func NewMerging[K comparable, T any](config Config[T], key func(T) K, merge func(waiting, added T) T) *Committer[T] {
	return newCommitter(config, &keepOne[K, T]{key: key, join: merge, places: map[K]int{}})
}

func newCommitter[T any](config Config[T], rule rule[T]) *Committer[T] {
	if config.Flush == nil {
		panic("batch: Config needs Flush")
	}
	config.FlushTimeout = cmp.Or(config.FlushTimeout, 10*time.Second)
	config.MinInterval = cmp.Or(config.MinInterval, 50*time.Millisecond)
	config.MaxSize = cmp.Or(config.MaxSize, 500)
	config.MaxWaiting = cmp.Or(config.MaxWaiting, 10_000)
	config.DrainTimeout = cmp.Or(config.DrainTimeout, 5*time.Second)
	return &Committer[T]{config: config, waiting: newBuffer(config.MaxWaiting, rule)}
}

// Add takes an item for the next flush and never blocks. Items added before Run wait for it. It returns ErrFull or
// ErrClosed when the item was not taken; an item that replaces another is never too many.
func (c *Committer[T]) Add(item T) error { return c.waiting.add(item) }

// Waiting returns how many items wait, those that are being flushed not counted.
func (c *Committer[T]) Waiting() int { return c.waiting.len() }

// Run flushes until ctx ends, and then what is left, for at most DrainTimeout. It returns nil when every item that Add took
// has been committed, or how many have not and why. It may be called once.
func (c *Committer[T]) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return ErrClosed
	}
	life, end := outlive(ctx, c.config.DrainTimeout)
	defer end()
	for c.ready(ctx) {
		group := c.waiting.take(c.config.MaxSize)
		if err := c.commit(ctx, life, group); err != nil {
			return c.drain(life, group)
		}
	}
	return c.drain(life, c.waiting.take(c.config.MaxSize))
}

// ready waits for the first item, and then until the last flush is long enough ago for others to have joined it.
func (c *Committer[T]) ready(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c.waiting.added:
		return pause.For(ctx, time.Until(c.lastFlush.Add(c.config.MinInterval)))
	}
}

// commit flushes a group until it succeeds, or returns the last error once until has ended.
func (c *Committer[T]) commit(until, life context.Context, group []T) error {
	for wait := newBackoff(); ; {
		var err error
		group, err = c.flushParts(until, life, group)
		if err == nil || until.Err() != nil {
			return err
		}
		retryIn := wait.next()
		if c.config.OnError != nil {
			c.config.OnError(err, len(group), retryIn)
		}
		if !pause.For(until, retryIn) {
			return err
		}
	}
}

// drain flushes what is left, beginning with group, until nothing is or its life ends. Items may still be added until the
// moment that there is nothing left.
func (c *Committer[T]) drain(life context.Context, group []T) error {
	for ; len(group) > 0 || !c.waiting.closeIfEmpty(); group = c.waiting.take(c.config.MaxSize) {
		if len(group) == 0 {
			continue
		}
		if err := c.commit(life, life, group); err != nil {
			return fmt.Errorf("drain: %d items not flushed: %w", len(group)+c.waiting.close(), err)
		}
	}
	return nil
}

// flushParts flushes a group, in ever smaller parts where Splits says so, and returns what is left of it in order, with the
// error of the last part that failed. All parts of one size have their turn before smaller ones.
func (c *Committer[T]) flushParts(until, life context.Context, group []T) (left []T, failed error) {
	for parts := [][]T{group}; len(parts) > 0; parts = parts[1:] {
		part := parts[0]
		err := c.flush(life, part)
		if err == nil {
			continue
		}
		failed = err
		if len(part) == 1 || c.config.Splits == nil || !c.config.Splits(err) || until.Err() != nil {
			left = append(left, part...)
			continue
		}
		parts = append(parts, part[:len(part)/2], part[len(part)/2:])
	}
	return left, failed
}

// flush calls Flush once.
func (c *Committer[T]) flush(life context.Context, group []T) error {
	timeout := &bounded.TimeoutError{After: c.config.FlushTimeout}
	ctx, cancel := context.WithTimeoutCause(life, c.config.FlushTimeout, timeout)
	defer cancel()
	c.lastFlush = time.Now()
	err := bounded.Protect(func() error { return c.config.Flush(ctx, group) })
	if err == nil && c.config.OnFlush != nil {
		c.config.OnFlush(len(group), time.Since(c.lastFlush))
	}
	return err
}
