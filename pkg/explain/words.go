package explain

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
)

// MaxWhy bounds, in bytes, what is repeated of a refusal.
const MaxWhy = 256

// Delay is why Workflows are refused, and when one is tried again.
type Delay struct {
	Reason  v1alpha1.Reason
	Message string
	// Attempts is how many Workflows were refused; 0 where that is not known. Since is when the
	// first of them was, Next when one is tried again; zero where that is not known.
	Attempts    int
	Since, Next time.Time
}

// maxShut bounds, in bytes, why nothing is triggered in a cluster: it ends with what to do.
const maxShut = 768

// String says why Workflows are refused, how often and since when, when one is tried next, and
// what to do.
func (d Delay) String() string {
	if d.Reason == v1alpha1.ReasonLaneShut {
		return clip.Text(d.Message, maxShut)
	}
	text := clip.Text(d.Message, MaxWhy)
	if d.Reason == v1alpha1.ReasonNamespaceShare {
		text = "the namespace has as many unfinished Workflows as MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE allows"
	}
	if text == "" {
		text = "others of the namespace were refused"
	}
	if d.Attempts > 0 {
		text += ", " + Counted(d.Attempts, "attempt")
	}
	if !d.Since.IsZero() {
		text += " since " + Clock(d.Since)
	}
	if !d.Next.IsZero() {
		text += ", next at " + Clock(d.Next)
	}
	if remedy := of(delays, d.Reason).Remedy; remedy != "" {
		text += ": " + remedy
	}
	return text
}

// Gate completes "waits for" where the backlog gate is closed: active Workflows are unfinished, of
// at most most. The holders are named where there are any.
func Gate(active, most int, holders []string) string {
	return fmt.Sprintf("%s: %d are unfinished, and MAX_ACTIVE_WORKFLOWS is %d", WaitsFor(v1alpha1.ReasonBacklogFull), active, most) + OldestAre(holders)
}

// TurnOf says which build has its turn, and what becomes of the one that waits.
func TurnOf(build string) string {
	return fmt.Sprintf("build %s has its turn in this pipeline: this one goes on by itself when that has ended", build)
}

// TemplateDeadline says until when a stage waits for its template.
func TemplateDeadline(until time.Time) string {
	return fmt.Sprintf("; the stage ends as Error at %s if it is still missing (TEMPLATE_WAIT)", Clock(until))
}

// NextAttempt says when an attempt begins, and how the one before ended. The attempt is such as
// "attempt 2 of 3", and number is its number.
func NextAttempt(attempt string, number int32, next time.Time, before string) string {
	text := attempt
	if !next.IsZero() {
		text += " begins at " + Clock(next)
	}
	if before != "" {
		text += fmt.Sprintf("; attempt %d: %s", number-1, before)
	}
	return text
}

// End says how a stage ended and why, without telling the same word twice.
func End(state string, reason v1alpha1.Reason, message string) string {
	switch {
	case reason == "" || string(reason) == state:
		return message
	case message == "":
		return string(reason)
	default:
		return fmt.Sprintf("%s: %s", reason, message)
	}
}

// Clock is how times are told.
func Clock(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Counted is a number of things.
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
