package view

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/tune"
)

const (
	freezeKey = "FREEZE"
	// hidden is where the value of FREEZE comes from for who may not see all namespaces: it
	// may name them.
	hidden = "hidden"
)

// Settings are the limits in force in the controller that was last heard of.
func (v *View) Settings(ctx context.Context, scope Scope) (rest.Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	told := rest.Settings{Items: []rest.Setting{}}
	rows, err := v.queries.ExplainWorkers(ctx, maxWorkers)
	if err != nil {
		return told, fmt.Errorf("read the controllers: %w", err)
	}
	for _, row := range rows {
		var state store.WorkerState
		if json.Unmarshal(row.State, &state) != nil || len(state.Limits) == 0 {
			continue // of another version
		}
		seen := when(row.BeatAt)
		told.SeenAt, told.Silent = &seen, when(row.AskedAt).Sub(seen) > store.WorkerSilence
		told.Items = settingsOf(state.Limits, scope)
		if scope.All {
			told.Advice = adviceOf(state.Measured)
		}
		return told, nil
	}
	return told, nil
}

func settingsOf(limits []config.InForce, scope Scope) []rest.Setting {
	described := map[string]config.Variable{}
	for _, v := range config.Variables() {
		described[v.Name] = v
	}
	all := make([]rest.Setting, len(limits))
	for i, one := range limits {
		v := described[one.Name]
		all[i] = rest.Setting{Key: one.Name, Value: one.Value, From: one.From, Default: v.Default, Allowed: v.Allowed, Meaning: v.Meaning, Problem: one.Refused}
		if one.Name == freezeKey && !scope.All {
			all[i].Value, all[i].From, all[i].Problem = "", hidden, ""
		}
	}
	return all
}

// adviceOf is what tune computes from what a controller has measured; nil where it has not.
func adviceOf(measured *tune.Measured) *rest.TuningAdvice {
	if measured == nil {
		return nil
	}
	advice, now := tune.Advise(measured.Inputs), measured.Now
	told := &rest.TuningAdvice{
		BatchSize: advice.BatchSize, PerSecond: advice.PerSecond, Bounds: make([]rest.TuningBound, len(advice.Bounds)), Verdict: now.Verdict, Limit: now.Limit,
		InFlight: now.InFlight, Waiting: now.Waiting, Rate: now.PerSecond, Latency: measured.Inputs.Latency.Seconds(),
	}
	for i, bound := range advice.Bounds {
		told.Bounds[i] = rest.TuningBound(bound)
	}
	return told
}
