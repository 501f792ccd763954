//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// action is what happens when a step is passed.
type action struct {
	kind string
	// stall is how long the kind stall holds.
	stall time.Duration
	// in is how often the step is still passed before it happens: once at 1, never
	// at 0 and below.
	in atomic.Int64
}

// enabled is set once, before any step is passed.
var enabled atomic.Pointer[map[Name]*action]

// Enable makes steps break as the text, the value of Variable, says. It returns an
// error that names what is wrong with it, and then changes nothing.
func Enable(text string) error {
	actions, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", Variable, err)
	}
	enabled.Store(&actions)
	return nil
}

// Hit says that a step is passed.
func Hit(name Name) { _ = Error(name) }

// Error is Hit for a step that can fail.
func Error(name Name) error {
	actions := enabled.Load()
	if actions == nil {
		return nil
	}
	happens, ok := (*actions)[name]
	if !ok || happens.in.Add(-1) != 0 {
		return nil
	}
	fmt.Fprintf(os.Stderr, "failpoint %s: %s\n", name, happens.kind)
	return happens.run(name)
}

func (a *action) run(name Name) error {
	switch a.kind {
	case kill:
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {} // nothing of this goroutine happens before the signal arrives
	case stall:
		<-time.After(a.stall)
		return nil
	case fail:
		return fmt.Errorf("failpoint %s", name)
	default:
		panic(fmt.Sprintf("failpoint %s", name))
	}
}
