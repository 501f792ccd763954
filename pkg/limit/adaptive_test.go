package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server answers in a time that grows once more than its slots are used.
type server struct {
	slots    float64
	service  time.Duration
	rejects  bool          // more than twice its slots
	database time.Duration // what a connection is waited for
	demand   int           // most that ever reach it at once; 0 is any number
}

func (s server) window(inFlight int) Window {
	if s.demand > 0 {
		inFlight = min(inFlight, s.demand)
	}
	w := Window{Answers: 100, PeakInFlight: inFlight, DatabaseWait: s.database}
	w.Latency = time.Duration(float64(s.service) * max(1, float64(inFlight)/s.slots))
	if s.rejects && float64(inFlight) > 2*s.slots {
		w.Overrun = 1
	}
	return w
}

// run lets so many windows pass, and returns the lowest and highest limit of the last 20.
func run(a *Adaptive, s server, windows, ceiling int) (lowest, highest int) {
	limit := a.Next(Window{}, ceiling)
	lowest, highest = ceiling, 0
	for i := range windows {
		limit = a.Next(s.window(limit), ceiling)
		if i >= windows-20 {
			lowest, highest = min(lowest, limit), max(highest, limit)
		}
	}
	return lowest, highest
}

func TestAnAdaptiveLimitFindsWhatTheServerCanDo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		server            server
		ceiling           int
		lowest, highest   int
		windows, startsAt int
	}{
		"it keeps a server of 20 slots busy without piling up requests": {
			server: server{slots: 20, service: 10 * time.Millisecond}, ceiling: 200, lowest: 20, highest: 60, windows: 120, startsAt: 5,
		},
		"it stops at the ceiling where the server could do more": {
			server: server{slots: 1000, service: 10 * time.Millisecond}, ceiling: 50, lowest: 50, highest: 50, windows: 60, startsAt: 5,
		},
		"it sinks below what makes the server refuse, and tries again": {
			server: server{slots: 10, service: 10 * time.Millisecond, rejects: true}, ceiling: 200, lowest: 8, highest: 25, windows: 120, startsAt: 5,
		},
		"it gives way while a database connection must be waited for": {
			server: server{slots: 1000, service: 10 * time.Millisecond, database: 20 * time.Millisecond}, ceiling: 50, lowest: 1, highest: 1, windows: 60, startsAt: 40,
		},
		"it does not grow while the token bucket holds requests back": {
			server: server{slots: 1000, service: 10 * time.Millisecond, demand: 2}, ceiling: 50, lowest: 5, highest: 5, windows: 60, startsAt: 5,
		},
		"a lower ceiling is obeyed at once": {
			server: server{slots: 1000, service: 10 * time.Millisecond}, ceiling: 3, lowest: 3, highest: 3, windows: 1, startsAt: 40,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lowest, highest := run(NewAdaptive(test.startsAt), test.server, test.windows, test.ceiling)
			require.GreaterOrEqual(t, lowest, test.lowest)
			require.LessOrEqual(t, highest, test.highest)
		})
	}
}

func TestAnAdaptiveLimitRecoversAfterAnOutage(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(20)
	overrun := Window{Answers: 100, PeakInFlight: 20, Latency: time.Second, Overrun: 100}
	for range 20 {
		a.Next(overrun, 100)
	}
	require.Equal(t, 1, a.Next(overrun, 100))
	lowest, _ := run(a, server{slots: 20, service: 10 * time.Millisecond}, 60, 100)
	require.GreaterOrEqual(t, lowest, 15)
}

func TestFewAnswersTeachNothingUntilThereAreMore(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(7)
	few := Window{Answers: minAnswers / 2, Latency: time.Millisecond, PeakInFlight: 7}
	require.Equal(t, 7, a.Next(few, 100))
	require.Greater(t, a.Next(few, 100), 7, "together they are enough")
}

func TestAServerThatIsOverrunIsBelievedHoweverFewItsAnswersAre(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(50)
	require.Equal(t, 35, a.Next(Window{Answers: 1, Latency: 8 * time.Second, PeakInFlight: 50, Overrun: 1}, 100))
	require.Equal(t, 35, a.Next(Window{}, 100), "an overrun counts once")
}

func TestWindowsAreAddedUpByTheirAnswers(t *testing.T) {
	t.Parallel()
	first := Window{Answers: 1, Latency: 4 * time.Second, PeakInFlight: 2, DatabaseWait: time.Second}
	second := Window{Answers: 3, Latency: 8 * time.Second, Overrun: 1, PeakInFlight: 1}
	require.Equal(t, Window{Answers: 4, Latency: 7 * time.Second, Overrun: 1, PeakInFlight: 2, DatabaseWait: time.Second}, first.plus(second))
	require.Equal(t, Window{}, Window{}.plus(Window{}))
}
