package store

import (
	"time"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/pkg/tune"
)

const (
	// MaxDelays bounds what a worker says of itself: it is written once a second.
	MaxDelays = 50
	// RateWindow is how far back LaneState.Triggered counts.
	RateWindow = time.Minute
)

// WorkerState is what a process that claims says of itself with each sign of life, so that who
// reads Postgres alone knows which limits are in force.
type WorkerState struct {
	// Namespaces are those that it watches; empty means all.
	Namespaces []string `json:"namespaces,omitempty"`
	// Lanes are what it does in each lane, by Lane.Name.
	Lanes map[string]LaneState `json:"lanes,omitempty"`
	// Holders are the oldest Workflows that keep the backlog gate closed, as messages name them.
	Holders []string `json:"holders,omitempty"`
	// Freeze is the freeze in force; zero where there is none.
	Freeze trigger.Freeze `json:"freeze"`
	// TemplateWait is how long a stage waits for its template.
	TemplateWait time.Duration `json:"templateWait,omitempty"`
	// Limits are those in force, and where each comes from.
	Limits []config.InForce `json:"limits,omitempty"`
	// Measured is what the advice on the limits is computed from; nil where that is not known yet.
	Measured *tune.Measured `json:"measured,omitempty"`
}

// LaneState is what a worker does in one lane.
type LaneState struct {
	// InFlight are the Workflows that are being created now, Limit the most that may be.
	InFlight int `json:"inFlight"`
	Limit    int `json:"limit"`
	// Triggered is how many Workflows were created in the last Observed, which is RateWindow, or
	// shorter where the lane began later.
	Triggered int           `json:"triggered"`
	Observed  time.Duration `json:"observed"`
	// GateClosed tells whether the backlog gate holds tasks back, and Active how many Workflows
	// were unfinished when it was last asked, of at most MaxActive; 0 is no limit.
	GateClosed bool `json:"gateClosed,omitempty"`
	Active     int  `json:"active,omitempty"`
	MaxActive  int  `json:"maxActive,omitempty"`
	// Delays is why no Workflows are created in up to MaxDelays namespaces for now.
	Delays map[string]limit.Delay `json:"delays,omitempty"`
}
