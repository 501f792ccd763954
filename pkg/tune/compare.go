package tune

import (
	"fmt"
	"time"
)

const (
	// slowConnection is the mean wait for a connection above which connections are short.
	slowConnection = 5 * time.Millisecond
	// nearly is the share of a limit from which on it counts as used up.
	nearly = 0.9
)

// Now is what the metrics say, seen twice.
type Now struct {
	// PerSecond is how many triggers have ended a second between the two; Latency is of those,
	// or since the start where there were none.
	PerSecond float64       `json:"triggersPerSecond"`
	Latency   time.Duration `json:"latencyNanoseconds"`
	// Needed is PerSecond × Latency: how many creates that takes in flight, by Little's law.
	Needed   float64 `json:"inFlightNeeded"`
	Limit    float64 `json:"limit"`
	InFlight float64 `json:"inFlight"`
	Waiting  float64 `json:"waiting"`
	// Verdict is what holds triggers back now, and what to do.
	Verdict string `json:"verdict"`
}

// Compare says what holds triggers back, by what the metrics said at two moments. The order
// is that of the table in docs/tuning.md.
func Compare(in Inputs, advice Advice, before, after Snapshot, elapsed time.Duration) Now {
	now := Now{Limit: after.Limit, InFlight: after.InFlight, Waiting: after.Waiting, Latency: after.Latency(before)}
	if elapsed > 0 {
		now.PerSecond = max(after.Triggers-before.Triggers, 0) / elapsed.Seconds()
	}
	if now.Latency == 0 {
		now.Latency = after.Latency(Snapshot{})
	}
	now.Needed = now.PerSecond * now.Latency.Seconds()
	now.Verdict = verdict(in, advice, before, after, now)
	return now
}

func verdict(in Inputs, advice Advice, before, after Snapshot, now Now) string {
	tokens := in.filled().tokens()
	switch {
	case after.GateClosed:
		return "The backlog gate is closed: Argo has as many unfinished Workflows as MAX_ACTIVE_WORKFLOWS allows. No batch size changes that."
	case after.Paused > before.Paused:
		return "The API server answers 429: lower KUBE_API_QPS, or give Penstock a share of its own there."
	case after.Waiting == 0 && now.PerSecond == 0:
		return "Nothing waits and nothing is triggered: no limit holds triggers back now."
	case after.Waiting == 0:
		return "Nothing waits for a slot: no limit holds triggers back now."
	case in.Rate > 0 && now.PerSecond >= nearly*tokens:
		return fmt.Sprintf("The API rate holds triggers back: %s of %s triggers/s. Raise KUBE_API_QPS if the API server bears it; more slots make nothing faster.", figure(now.PerSecond), figure(tokens))
	case connectionWait(before, after) > slowConnection:
		return fmt.Sprintf("Connections are waited for, %s on average: look at Postgres first, then raise DATABASE_MAX_CONNS.", rounded(connectionWait(before, after)))
	case after.InFlight >= nearly*after.Limit && float64(advice.BatchSize) > after.Limit:
		return fmt.Sprintf("All slots are in use: kubectl penstock settings set CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=%d", advice.BatchSize)
	case after.InFlight >= nearly*after.Limit:
		return "All slots are in use, and the limits above allow no more: raise the one that binds."
	}
	return "Tasks wait although slots are free: they wait for their back-off, their namespace is refused, or the process has no CPU left. kubectl penstock doctor looks further."
}

func connectionWait(before, after Snapshot) time.Duration {
	waits := after.ConnectionWaits - before.ConnectionWaits
	if waits <= 0 {
		return 0
	}
	return time.Duration((after.ConnectionWait - before.ConnectionWait) / waits * float64(time.Second))
}
