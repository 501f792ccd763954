package controllers

import (
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
)

// state is what this process says of itself with each sign of life.
func (l *loops) state(c config.Config) store.WorkerState {
	state := store.WorkerState{
		Namespaces: c.WatchNamespaces, Freeze: l.freeze.get(), TemplateWait: c.TemplateWait, Limits: l.inForce(), Measured: l.adviser.Measured(),
		Lanes: map[string]store.LaneState{LaneCd.Name(): l.dispatcher.State(), LaneCi.Name(): l.builds.State()},
	}
	for _, holder := range l.backlog.Holders() {
		state.Holders = append(state.Holders, holder.String())
	}
	state.Holders = explain.Holders(state.Holders)
	return state
}
