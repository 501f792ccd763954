package tune

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// known are inputs in which nothing is short.
func known(changes ...func(*Inputs)) Inputs {
	in := Inputs{Rate: 50, CallsPerTrigger: 1, Latency: 50 * time.Millisecond, Lease: 20 * time.Second, FreeConnections: 8, FreeMemory: 128 << 20, Cores: 2}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func TestTheLimitThatAllowsLeastBinds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in    Inputs
		size  int
		binds string
		needs float64
	}{
		"the defaults, with creates of 50 ms, are bound by the API rate": {known(), 5, "API rate", 2.5},
		"slow creates need more in flight":                               {known(func(in *Inputs) { in.Latency = time.Second }), 100, "API rate", 50},
		"fast creates need one slot": {
			known(func(in *Inputs) { in.Latency = 10 * time.Millisecond }), 1, "API rate", 0.5,
		},
		"a trigger that costs two calls halves the rate": {known(func(in *Inputs) { in.CallsPerTrigger, in.Latency = 2, time.Second }), 50, "API rate", 25},
		"without a latency the answer is an upper bound": {known(func(in *Inputs) { in.Latency = 0 }), 100, "API rate", 50},
		"slots that wait for tokens longer than half of the lease are broken off": {
			known(func(in *Inputs) { in.Rate, in.Latency = 5, 8*time.Second }), 10, "trigger lease", 40,
		},
		"no free connection allows one": {known(func(in *Inputs) { in.FreeConnections = 0 }), 1, "database connections", 2.5},
		"two free connections bear every batch size": {
			known(func(in *Inputs) { in.FreeConnections, in.Rate, in.Latency = 2, 10000, time.Second }), 128, "memory", 700,
		},
		"little memory binds":               {known(func(in *Inputs) { in.FreeMemory, in.Latency = 30<<20, time.Second }), 30, "memory", 50},
		"memory below one trigger allows 1": {known(func(in *Inputs) { in.FreeMemory, in.Latency = 1, time.Second }), 1, "memory", 50},
		"cores bind where nothing else does": {
			known(func(in *Inputs) { in.Rate, in.Latency = 10000, 20*time.Millisecond }), 28, "cores", 14,
		},
		"the rate alone is enough":     {Inputs{Rate: 200, Latency: 200 * time.Millisecond, FreeConnections: -1}, 80, "API rate", 40},
		"cores are enough, too":        {Inputs{Cores: 1, Latency: 100 * time.Millisecond, FreeConnections: -1}, 70, "cores", 35},
		"where nothing is known, none": {Inputs{FreeConnections: -1}, MaxBatchSize, "", 0},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			advice := Advise(test.in)
			require.Equal(t, test.size, advice.BatchSize)
			require.InDelta(t, test.needs, advice.Needed, 1e-9)
			var binding []string
			for _, bound := range advice.Bounds {
				require.NotEmpty(t, bound.Reasoning, bound.Limit)
				if bound.Binds {
					binding = append(binding, bound.Limit)
				}
			}
			if test.binds == "" {
				require.Empty(t, binding)
				return
			}
			require.Equal(t, []string{test.binds}, binding)
		})
	}
}

func TestTheReasoningHasTheFigures(t *testing.T) {
	t.Parallel()
	var told []string
	for _, bound := range Advise(known(func(in *Inputs) { in.CallsPerTrigger = 2 })).Bounds {
		told = append(told, bound.Limit+": "+bound.Reasoning)
	}
	require.Equal(t, []string{
		"API rate: 50 requests/s ÷ 2 a trigger = 25 triggers/s; × 50ms for one create = 1.25 in flight (Little's law); × 2 for slow ones. More makes nothing faster.",
		"trigger lease: a trigger has 10s, half of TRIGGER_LEASE, and slots wait for tokens: 25 triggers/s × (10s − 50ms for the create).",
		"database connections: any: dispatch holds at most 2 of the 8 free ones whatever the batch size, since it claims and completes in groups. Where each trigger held 2, as without groups, it would be 8 ÷ 2 = 4.",
		"memory: 128 MiB free ÷ 1 MiB for a trigger.",
		"cores: any: 2 × 350 triggers/s a core = 700, and the API rate allows 25.",
	}, told)
}

func TestTheVerdictNamesWhatHoldsTriggersBack(t *testing.T) {
	t.Parallel()
	// In 10 s 100 triggers ended, each in 500 ms, without waits for tokens.
	busy := Snapshot{Limit: 5, InFlight: 5, Waiting: 40, Triggers: 100, Duration: 50, TokenWaits: 100}
	change := func(change func(*Snapshot)) Snapshot {
		changed := busy
		change(&changed)
		return changed
	}
	tests := map[string]struct {
		after Snapshot
		says  string
	}{
		"the gate":           {change(func(s *Snapshot) { s.GateClosed = true }), "The backlog gate is closed"},
		"429":                {change(func(s *Snapshot) { s.Paused = 1 }), "The API server answers 429"},
		"an idle system":     {Snapshot{Limit: 5}, "Nothing waits and nothing is triggered"},
		"enough of all":      {change(func(s *Snapshot) { s.Waiting = 0 }), "Nothing waits for a slot"},
		"the rate":           {change(func(s *Snapshot) { s.Triggers = 490 }), "The API rate holds triggers back: 49 of 50 triggers/s"},
		"connections":        {change(func(s *Snapshot) { s.ConnectionWaits, s.ConnectionWait = 10, 1 }), "Connections are waited for, 100ms on average"},
		"slots":              {busy, "settings set CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=50"},
		"slots, all allowed": {change(func(s *Snapshot) { s.Limit, s.InFlight = 60, 60 }), "All slots are in use, and the limits above allow no more"},
		"something else":     {change(func(s *Snapshot) { s.InFlight = 1 }), "Tasks wait although slots are free"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			in := known(func(in *Inputs) { in.Latency = 500 * time.Millisecond })
			now := Compare(in, Advise(in), Snapshot{}, test.after, 10*time.Second)
			require.Contains(t, now.Verdict, test.says)
		})
	}
	now := Compare(known(), Advise(known()), Snapshot{}, busy, 10*time.Second)
	require.InDelta(t, 10, now.PerSecond, 1e-9)
	require.Equal(t, 500*time.Millisecond, now.Latency)
	require.InDelta(t, 5, now.Needed, 1e-9, "Little's law: 10 a second × 0.5 s")
}
