// Package doctor runs the checks of an installation beside each other, each with a time-out,
// and judges what they find. It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// Status is how a check ended.
type Status string

const (
	// OK means that there is nothing to do.
	OK Status = "ok"
	// Warn means that something is odd, or could not be looked at; Penstock may work.
	Warn Status = "warn"
	// Fail means that Penstock does not work as it should.
	Fail Status = "fail"
)

// Finding is what one check found.
type Finding struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	// Fix is what to do; empty where there is nothing.
	Fix string `json:"fix,omitempty"`
}

// Good is a finding of a check that has found nothing wrong.
func Good(format string, args ...any) Finding {
	return Finding{Status: OK, Message: fmt.Sprintf(format, args...)}
}

// Odd is a finding that is to be looked at.
func Odd(fix, format string, args ...any) Finding {
	return Finding{Status: Warn, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// Bad is a finding that is to be mended.
func Bad(fix, format string, args ...any) Finding {
	return Finding{Status: Fail, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// Check looks at one thing.
type Check struct {
	Name string
	// Look need not obey the context: Run does not wait for it beyond its time-out.
	Look func(context.Context) Finding
}

// Run runs all checks at once and returns their findings in the order of the checks, after
// the time-out at the latest. A check that has not ended by then, or that panics, is a
// warning: it says nothing of what it was to look at.
func Run(ctx context.Context, timeout time.Duration, checks []Check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	findings := make([]Finding, len(checks))
	var all sync.WaitGroup
	for i, check := range checks {
		all.Go(func() { findings[i] = look(ctx, check, timeout) })
	}
	all.Wait()
	return findings
}

func look(ctx context.Context, check Check, timeout time.Duration) Finding {
	done := make(chan Finding, 1) // whoever comes too late is not waited for
	go func() {
		var found Finding
		if err := bounded.Protect(func() error { found = check.Look(ctx); return nil }); err != nil {
			found = Odd("report this as a bug", "the check failed: %v", err)
		}
		done <- found
	}()
	var found Finding
	select {
	case found = <-done:
	case <-ctx.Done():
		found = Odd("look whether the network lets this through", "no answer within %s", timeout)
	}
	found.Check = check.Name
	return found
}

// Failed tells whether a check has failed.
func Failed(findings []Finding) bool {
	for _, finding := range findings {
		if finding.Status == Fail {
			return true
		}
	}
	return false
}
