package bounded

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

var (
	// ErrClosed says that the pool takes no more tasks. It is also the cause (context.Cause) that running tasks find when
	// the time given to Shutdown has passed.
	ErrClosed = errors.New("pool is closed")

	// ErrGoexit is the error of a task that ended its goroutine with runtime.Goexit, as testing.T.FailNow does.
	ErrGoexit = errors.New("task called runtime.Goexit")
)

// PanicError is the error of a task that panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked, as runtime/debug.Stack formats it
}

// Error leaves the stack out, so that it fits into a condition or a database column.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic when that is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// TimeoutError is the error of an input of Map that had no answer in time, and the cause (context.Cause) of a task's
// context that ran out of time. It is a context.DeadlineExceeded for errors.Is; the deadline of the caller is never a
// TimeoutError.
type TimeoutError struct {
	After time.Duration
}

func (e *TimeoutError) Error() string { return fmt.Sprintf("no answer within %s", e.After) }

// Unwrap returns context.DeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// Protect calls fn and returns its error, or a *PanicError when it panics.
func Protect(fn func() error) (err error) {
	defer recovered(&err)
	return fn()
}

// recovered must be deferred directly: recover works nowhere else.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}
