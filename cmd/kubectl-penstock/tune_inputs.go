package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/tune"
)

// The inputs, as people read them.
const (
	inputRate, inputCalls, inputLatency, inputLease = "API rate", "calls per trigger", "latency of a create", "trigger lease"
	inputConnections, inputMemory, inputEach        = "free connections", "free memory", "memory per trigger"
	inputCores                                      = "cores"
)

// knownInputs are inputs with where each is from; one that is not there is not known.
type knownInputs struct {
	tune.Inputs

	from map[string]string
}

func (k *knownInputs) knows(input string) bool { return k.from[input] != "" }

// learnSettings takes what the live settings say and no flag does.
func (o *options) learnSettings(ctx context.Context, k *knownInputs, answer *tuneAnswer) {
	found, notes, err := o.settings(ctx)
	if err != nil {
		answer.Notes = append(answer.Notes, "The settings are not read: "+err.Error())
		return
	}
	answer.Notes = append(answer.Notes, notes...)
	for _, s := range found {
		from := s.Key + ", " + s.From
		switch value, err := strconv.Atoi(s.Value); {
		case s.Key == "KUBE_API_QPS" && err == nil && !k.knows(inputRate):
			k.Rate, k.from[inputRate] = float64(value), from
		case s.Key == "DATABASE_MAX_CONNS" && err == nil && !k.knows(inputConnections):
			k.FreeConnections, k.from[inputConnections] = value, from
		case s.Key == "TRIGGER_LEASE" && !k.knows(inputLease):
			if lease, err := time.ParseDuration(s.Value); err == nil {
				k.Lease, k.from[inputLease] = lease, from
			}
		}
	}
}

// learnMetrics takes what the metrics say and no flag does.
func (k *knownInputs) learnMetrics(seen *seen) {
	if seen == nil {
		return
	}
	now, measured := seen.after, k.Learn(seen.before, seen.after)
	if strings.HasPrefix(k.from[inputConnections], "DATABASE_MAX_CONNS") {
		k.FreeConnections = measured.FreeConnections
		k.from[inputConnections] += fmt.Sprintf(", less %g in use", now.Connections)
	}
	if now.Triggers > 0 && measured.Latency > 0 && !k.knows(inputLatency) {
		k.Latency, k.from[inputLatency] = measured.Latency, "measured since the controller's start"
		if now.Latency(seen.before) > 0 {
			k.from[inputLatency] = "measured just now"
		}
	}
	if now.MemoryLimit > 0 && !k.knows(inputMemory) {
		k.FreeMemory, k.from[inputMemory] = measured.FreeMemory, "GOMEMLIMIT less what is resident"
	}
	if now.Cores > 0 && !k.knows(inputCores) {
		k.Cores, k.from[inputCores] = measured.Cores, "GOMAXPROCS of the controller"
	}
}

// assume takes the defaults of Penstock for what is still not known, and says so.
func (k *knownInputs) assume() {
	if !k.knows(inputRate) {
		k.Rate, k.from[inputRate] = 50, "assumed: the default of KUBE_API_QPS"
	}
	if !k.knows(inputLease) {
		k.Lease, k.from[inputLease] = 20*time.Second, "assumed: the default of TRIGGER_LEASE"
	}
	if !k.knows(inputLatency) {
		k.Latency, k.from[inputLatency] = tune.UnknownLatency, "assumed, so that the answer is an upper bound"
	}
}

func inputsTable(answer tuneAnswer) table {
	in, t := answer.Inputs, table{head: []string{"INPUT", "VALUE", "FROM"}, wide: 3}
	add := func(input, value string) {
		if from := answer.From[input]; from != "" {
			t.rows = append(t.rows, []string{input, value, from})
			return
		}
		t.rows = append(t.rows, []string{input, "?", "not known"})
	}
	number := func(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
	add(inputRate, number(in.Rate)+"/s")
	add(inputCalls, number(in.CallsPerTrigger))
	add(inputLatency, in.Latency.String())
	add(inputLease, in.Lease.String())
	add(inputConnections, strconv.Itoa(in.FreeConnections))
	add(inputMemory, mebibytes(in.FreeMemory))
	add(inputEach, mebibytes(in.MemoryPerTrigger))
	add(inputCores, number(in.Cores))
	return t
}

func mebibytes(bytes int64) string {
	return strconv.FormatFloat(math.Round(float64(bytes)/(1<<20)*10)/10, 'f', -1, 64) + " MiB"
}
