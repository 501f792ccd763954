package main

import (
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/penstock-cd/penstock/pkg/tune"
)

// tuneFlags are the flags of tune.
type tuneFlags struct {
	qps, calls, cores        float64
	latency, lease, sample   time.Duration
	connections              int
	memory, memoryPerTrigger string
	metrics                  string
	offline                  bool
}

func (g *tuneFlags) bind(flags *pflag.FlagSet) {
	flags.Float64Var(&g.qps, "qps", 0, "requests a second that the API server gives Penstock; by default KUBE_API_QPS")
	flags.Float64Var(&g.calls, "calls", 1, "requests that one trigger costs")
	flags.DurationVar(&g.latency, "latency", 0, "how long one create takes; by default as measured")
	flags.DurationVar(&g.lease, "lease", 0, "TRIGGER_LEASE; by default as set")
	flags.IntVar(&g.connections, "connections", -1, "free connections to Postgres; by default DATABASE_MAX_CONNS less those in use")
	flags.StringVar(&g.memory, "memory", "", "free memory, such as 128Mi; by default the limit less what is in use")
	flags.StringVar(&g.memoryPerTrigger, "memory-per-trigger", "1Mi", "memory that one trigger in flight takes")
	flags.Float64Var(&g.cores, "cores", 0, "cores that the controller may use; by default as measured")
	flags.StringVar(&g.metrics, "metrics", "", "URL of the controller's metrics; by default a port-forward to the pod that leads")
	flags.DurationVar(&g.sample, "sample", 3*time.Second, "for how long the metrics are watched")
	flags.BoolVar(&g.offline, "offline", false, "read nothing from the cluster")
}

// inputs are those of the flags.
func (g *tuneFlags) inputs() (*knownInputs, error) {
	k := &knownInputs{Inputs: tune.Inputs{
		Rate: g.qps, CallsPerTrigger: g.calls, Latency: g.latency, Lease: g.lease, FreeConnections: g.connections, Cores: g.cores,
	}, from: map[string]string{inputCalls: "flag", inputEach: "flag"}}
	var err error
	if k.MemoryPerTrigger, err = byteCount("--memory-per-trigger", g.memoryPerTrigger); err != nil {
		return nil, err
	}
	if g.memory != "" {
		if k.FreeMemory, err = byteCount("--memory", g.memory); err != nil {
			return nil, err
		}
	}
	if g.qps < 0 || g.calls <= 0 || g.latency < 0 || g.lease < 0 || g.cores < 0 || g.connections < -1 || g.sample <= 0 {
		return nil, usage("--qps, --calls, --latency, --lease, --connections, --cores and --sample must be above 0")
	}
	if g.calls == 1 {
		k.from[inputCalls] = "Penstock's own"
	}
	if k.MemoryPerTrigger == tune.MemoryPerTrigger {
		k.from[inputEach] = "reckoned, from the benchmark scale"
	}
	for input, isGiven := range map[string]bool{
		inputRate: g.qps > 0, inputLatency: g.latency > 0, inputLease: g.lease > 0, inputConnections: g.connections >= 0, inputMemory: g.memory != "", inputCores: g.cores > 0,
	} {
		if isGiven {
			k.from[input] = "flag"
		}
	}
	return k, nil
}

func byteCount(flag, text string) (int64, error) {
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Value() <= 0 {
		return 0, usage("%s %s: must be a quantity above 0, such as 128Mi", flag, text)
	}
	return quantity.Value(), nil
}
