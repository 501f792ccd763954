package stage

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/test/env"
)

// Stage says how large a scenario is to be, and where it tells of its progress.
type Stage struct {
	// Small asks for sizes that run in seconds, whose absolute times mean little.
	Small bool
	// Rounds is how often each member of a comparison runs; medians are reported.
	Rounds int
	// Progress takes lines for people.
	Progress io.Writer

	mu    sync.Mutex
	began time.Time
}

// Size is full, unless the stage is small.
func (s *Stage) Size(full, small int) int {
	if s.Small {
		return small
	}
	return full
}

// Say tells one line of progress, with the time since the first.
func (s *Stage) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	fmt.Fprintf(s.Progress, "  %6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// Start starts real parts, which the caller stops.
func (s *Stage) Start(ctx context.Context, o env.Options) (*env.Environment, error) {
	o.Progress = func(line string) { s.Say("%s", line) }
	return env.Start(ctx, o)
}
