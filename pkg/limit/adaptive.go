package limit

import (
	"math"
	"time"
)

// The adaptive limit's constants; see Adaptive.
const (
	// minAnswers is how many answers must have been seen to be judged.
	minAnswers = 10
	// tolerance is how much longer than usual answers may take before the limit sinks.
	tolerance = 1.5
	// headroom is how many more are tried while answers come as fast as usual.
	headroom = 4
	// smoothing is the share of a new estimate that is taken over at once.
	smoothing = 0.5
	// usualFaster and usualSlower are the shares by which the usual time follows faster and slower answers: a server that
	// gets faster is believed soon, one that gets slower may be so because of us.
	usualFaster, usualSlower = 0.2, 0.002
	// overrunShare is what is left of the limit after a window in which the server said that it is overrun.
	overrunShare = 0.7
	// databaseShare is the same after one in which a connection was waited for longer than databaseWait, in the mean.
	databaseShare = 0.9
	databaseWait  = 5 * time.Millisecond
)

// Window is what was seen of the API server and of the database for a while.
type Window struct {
	// Answers is how many requests were answered, and Latency how long they took, in the mean.
	Answers int
	Latency time.Duration
	// Overrun is how many answers said that the server has too much to do: 429, 503, 504, or none in time.
	Overrun int
	// PeakInFlight is the most requests that were unanswered at once.
	PeakInFlight int
	// DatabaseWait is how long a database connection was waited for, in the mean.
	DatabaseWait time.Duration
}

// Adaptive finds how many requests to have in flight, between 1 and a ceiling, from how their answers come: Gradient2 of
// Netflix's concurrency-limits (Gradient2Limit.java), which compares the latency of now with the usual one, and two signals
// more. Every window in which the server said that it is overrun takes three tenths off, as TCP does for a lost packet; one
// in which the database's connections were waited for takes one tenth. It never grows while fewer than half of the slots
// reached the server: what holds requests back then is the token bucket or the lack of work, and more slots would only wait.
//
// failsafe-go's adaptive limiter is not used, because it learns only from permits of a semaphore of its own: the bound here
// is the pool's, which the ConfigMap changes too, and one signal of three would have been seen.
//
// It is not safe for concurrent use.
type Adaptive struct {
	limit float64
	usual float64 // latency in seconds; 0 until the first window
	seen  Window  // since the limit was looked at last
}

// NewAdaptive begins at start.
func NewAdaptive(start int) *Adaptive { return &Adaptive{limit: float64(max(start, 1))} }

// Next returns the limit after a window. Windows of few answers are added up until they are worth a look, but that the
// server is overrun counts at once.
func (a *Adaptive) Next(w Window, ceiling int) int {
	a.seen = a.seen.plus(w)
	if a.seen.Overrun > 0 || a.seen.Answers >= minAnswers {
		a.limit = a.after(a.seen)
		a.seen = Window{}
	}
	a.limit = min(max(a.limit, 1), float64(max(ceiling, 1)))
	return int(a.limit)
}

// plus is what was seen in both windows.
func (w Window) plus(later Window) Window {
	sum := Window{
		Answers: w.Answers + later.Answers, Overrun: w.Overrun + later.Overrun,
		PeakInFlight: max(w.PeakInFlight, later.PeakInFlight), DatabaseWait: max(w.DatabaseWait, later.DatabaseWait),
	}
	if sum.Answers > 0 {
		sum.Latency = (w.Latency*time.Duration(w.Answers) + later.Latency*time.Duration(later.Answers)) / time.Duration(sum.Answers)
	}
	return sum
}

func (a *Adaptive) after(w Window) float64 {
	if w.Overrun > 0 {
		return a.limit * overrunShare
	}
	latency := w.Latency.Seconds()
	a.follow(latency)
	switch {
	case w.DatabaseWait > databaseWait:
		return a.limit * databaseShare
	case float64(w.PeakInFlight) < a.limit/2:
		return a.limit
	}
	gradient := min(max(tolerance*a.usual/latency, 0.5), 1)
	estimate := a.limit*gradient + max(headroom, math.Sqrt(a.limit))
	return a.limit + smoothing*(estimate-a.limit)
}

// follow moves the usual latency towards the one of now.
func (a *Adaptive) follow(latency float64) {
	share := usualSlower
	if latency < a.usual {
		share = usualFaster
	}
	if a.usual == 0 {
		share = 1
	}
	a.usual += share * (latency - a.usual)
}
