package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// hear finds, once, the controller that was last heard of and watches the namespace.
func (e *explanation) hear(ctx context.Context) error {
	if !e.now.IsZero() {
		return nil
	}
	rows, err := e.queries.ExplainWorkers(ctx, maxWorkers)
	if err != nil {
		return fmt.Errorf("read the controllers: %w", err)
	}
	for _, row := range rows {
		e.now = when(row.AskedAt)
		var state store.WorkerState
		if err := json.Unmarshal(row.State, &state); err != nil {
			continue // of another version
		}
		if len(state.Namespaces) > 0 && !slices.Contains(state.Namespaces, e.namespace) {
			continue
		}
		e.heard, e.heardAt = &state, when(row.BeatAt)
		return nil
	}
	return nil
}

// frozen is what the freeze in force says in the namespace; empty where there is none.
func (e *explanation) frozen() string {
	if e.heard == nil || e.now.Sub(e.heardAt) > store.WorkerSilence {
		return ""
	}
	return e.heard.Freeze.Hold(e.namespace, e.now).Message
}

// controllerOf is what the controller says of a lane; nil where none was ever heard of.
func (e *explanation) controllerOf(lane lane) *explain.Controller {
	if e.heard == nil {
		return nil
	}
	does := e.heard.Lanes[lane.name()]
	said := &explain.Controller{
		SeenAt: e.heardAt, Silent: e.now.Sub(e.heardAt) > store.WorkerSilence, InFlight: does.InFlight, Limit: does.Limit,
		Triggered: does.Triggered, Observed: does.Observed, GateClosed: does.GateClosed, Active: does.Active, MaxActive: does.MaxActive,
		Holders: e.heard.Holders, TemplateWait: e.heard.TemplateWait,
	}
	if delay, shut := does.Delays[e.namespace]; shut {
		said.Delay = &explain.Delay{
			Reason: v1alpha1.Reason(delay.Reason), Message: delay.Message, Attempts: delay.Attempts, Since: delay.Since, Next: delay.Next,
		}
	}
	return said
}
