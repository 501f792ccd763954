// Package tune computes from what Penstock stands on (the API server, Postgres, its memory
// and its cores) how many triggers each of them allows in flight, and which of them binds.
//
// It reads and writes nothing, but for parsing metrics that it is given.
package tune

import (
	"math"
	"time"
)

const (
	// MemoryPerTrigger is what is reckoned for a trigger in flight: its Workflow, that as JSON,
	// the answer, and the buffers of a request. The benchmark scale finds 0.6 MiB.
	MemoryPerTrigger = 1 << 20
	// PerCore is how many triggers a second one core makes: half of what the benchmark
	// unthrottled finds on a machine that runs the API server, too.
	PerCore = 350
	// DispatchConnections is what dispatch holds at most whatever the batch size: one
	// connection to claim, and one to complete.
	DispatchConnections = 2
	// UnknownLatency is what one create is taken to last where nothing says: that of a slow
	// admission webhook, so that the answer is an upper bound.
	UnknownLatency = time.Second
	// MaxBatchSize is the largest that the variable takes.
	MaxBatchSize = 10000
	// headroom is how much more than Little's law needs is useful: room for slow creates.
	headroom = 2
)

// Inputs are what the advice is computed from. A zero value is not known.
type Inputs struct {
	// Rate is how many requests a second the API server gives Penstock: KUBE_API_QPS.
	Rate float64 `json:"rate"`
	// CallsPerTrigger is how many of them one trigger costs. Penstock's cost one.
	CallsPerTrigger float64 `json:"callsPerTrigger"`
	// Latency is how long one create takes, without the wait for a token.
	Latency time.Duration `json:"latencyNanoseconds"`
	// Lease is TRIGGER_LEASE: a trigger has half of it, its wait for a token included.
	Lease time.Duration `json:"leaseNanoseconds"`
	// FreeConnections are those of the pool, or of the server, that nobody uses; negative is
	// not known.
	FreeConnections int `json:"freeConnections"`
	// FreeMemory is in bytes; so is MemoryPerTrigger.
	FreeMemory       int64 `json:"freeMemoryBytes"`
	MemoryPerTrigger int64 `json:"memoryPerTriggerBytes"`
	// Cores are those that Penstock may use.
	Cores float64 `json:"cores"`
}

// Bound is what one limit allows.
type Bound struct {
	// Limit names it.
	Limit string `json:"limit"`
	// Known tells whether there was a figure to compute from.
	Known bool `json:"known"`
	// Allows is the batch size; 0 is any.
	Allows int `json:"allows"`
	// Binds tells that no other allows less.
	Binds bool `json:"binds"`
	// Reasoning is the computation, in words and figures.
	Reasoning string `json:"reasoning"`
}

// Advice is the batch size and what it follows from.
type Advice struct {
	// BatchSize is what the limit that binds allows, at least 1.
	BatchSize int `json:"batchSize"`
	// PerSecond is how many triggers a second that makes at most.
	PerSecond float64 `json:"triggersPerSecond"`
	// Needed is how many in flight Little's law asks for at that rate.
	Needed float64 `json:"inFlightNeeded"`
	Bounds []Bound `json:"bounds"`
}

// Advise computes the batch size that each limit allows. How many are in flight at a rate is
// Little's law, L = λW (J. D. C. Little, "A Proof for the Queuing Formula: L = λW",
// Operations Research 9(3), 1961): in flight = triggers a second × seconds for one create.
func Advise(in Inputs) Advice {
	in = in.filled()
	bounds := []Bound{in.byRate(), in.byLease(), in.byConnections(), in.byMemory(), in.byCores()}
	advice := Advice{BatchSize: MaxBatchSize, PerSecond: in.perSecond(), Bounds: bounds}
	advice.Needed = advice.PerSecond * in.Latency.Seconds()
	least := -1
	for i, bound := range bounds {
		if bound.Known && bound.Allows > 0 && bound.Allows < advice.BatchSize {
			least, advice.BatchSize = i, bound.Allows
		}
	}
	if least >= 0 {
		bounds[least].Binds = true
	}
	return advice
}

func (in Inputs) filled() Inputs {
	if in.CallsPerTrigger <= 0 {
		in.CallsPerTrigger = 1
	}
	if in.Latency <= 0 {
		in.Latency = UnknownLatency
	}
	if in.MemoryPerTrigger <= 0 {
		in.MemoryPerTrigger = MemoryPerTrigger
	}
	return in
}

// tokens is how many triggers a second the API rate allows; infinite where it is not known.
func (in Inputs) tokens() float64 {
	if in.Rate <= 0 {
		return math.Inf(1)
	}
	return in.Rate / in.CallsPerTrigger
}

// perSecond is how many triggers a second there can be, whatever the batch size; 0 where
// nothing is known.
func (in Inputs) perSecond() float64 {
	most := in.tokens()
	if in.Cores > 0 {
		most = math.Min(most, in.Cores*PerCore)
	}
	if math.IsInf(most, 1) {
		return 0
	}
	return most
}

// useful is the batch size at a rate: what Little's law needs, and room for slow creates.
func (in Inputs) useful(perSecond float64) int {
	return sized(headroom * perSecond * in.Latency.Seconds())
}

// sized is a batch size: a whole number from 1 to MaxBatchSize.
func sized(inFlight float64) int {
	return int(math.Min(math.Max(math.Ceil(inFlight-1e-9), 1), MaxBatchSize))
}
