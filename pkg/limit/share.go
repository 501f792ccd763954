package limit

import "time"

const (
	// First is how long triggers go first when a burst begins. Background work that is known to be due is counted only after it.
	First = 30 * time.Second

	// Quiet is how long a request of background waits in a burst before it has a token in spite of triggers: one for every
	// Share of theirs. It bounds the wait too where triggers are under way and leave tokens over, as they do when creates are
	// slow; there background flows freely once triggers took none for as long. A pause as long ends a burst.
	Quiet = 2 * time.Second

	// Share is how many tokens triggers have for each one of background where that has its least share: 1.02 API writes for
	// each trigger.
	Share = 50

	// soon is how late background work may be without a token of its own, after First; tooLate is when it has half of all,
	// and grows how long after First it may have that.
	soon, tooLate, grows = time.Second, 4 * time.Second, 2 * time.Second

	// never is the number of tokens of triggers for each one of background where background has none.
	never = 1 << 30
)

// Lateness is how late background is.
type Lateness struct {
	// Waited is how long the request that waits longest in line has waited.
	Waited time.Duration
	// Due is how long the oldest work that was told of is due, whether it waits in line or not; see Bucket.SetDue.
	Due time.Duration
}

// TriggersEach is how many tokens triggers have for each one of background, while triggers have been under way for busy:
// a very large number where background has none, 1 where it has half.
//
// For the first 30 s triggers go first: background has its least share, and only for requests that have waited for 2 s.
// After that its share grows with how late it is, from none to half of the tokens, and never faster than within 2 s. So a
// burst of a minute with little to write costs the triggers next to nothing, and in a queue that never empties what is
// written is never much later than 4 s, as long as half of the tokens are enough for it.
func TriggersEach(busy time.Duration, late Lateness) int {
	if busy < First {
		if late.Waited >= Quiet {
			return Share
		}
		return never
	}
	lateness := max(late.Waited, late.Due)
	if lateness < soon {
		return never
	}
	share := min(part(lateness-soon, tooLate-soon), part(busy-First, grows))
	const least = 1.0 / (Share + 1)
	return int(1/(least+share*(0.5-least)) - 1 + rounding)
}

// rounding lets what is exact but for the last bits of a float be that.
const rounding = 1e-9

// part is how much of the whole is over, between 0 and 1.
func part(over, whole time.Duration) float64 {
	return min(max(float64(over)/float64(whole), 0), 1)
}

// pauseOf is how long background waits for a token that triggers under way leave over: not at all where it has half.
func pauseOf(each int) time.Duration { return Quiet - 2*Quiet/time.Duration(each+1) }
