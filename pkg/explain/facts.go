package explain

import (
	"time"

	"github.com/penstock-cd/penstock/api/rest"
)

// Facts are what is known of one pipeline for one build.
type Facts struct {
	Namespace string
	// Now is the database's time.
	Now time.Time
	// Pipeline and Build are their names; Build is empty where no build was decided on.
	Pipeline, Build string
	// Parent is the pipeline above; the zero Parent where it is not known any more.
	Parent Parent
	// Newest is the newest build that has had its turn in the pipeline; empty where it is not known.
	Newest string
	// Decision is what was decided; nil where nothing is recorded.
	Decision *rest.Decision
	// Run is the run that came of it; nil where there is none.
	Run *Run
	// Above is the run that is waited for, where the decision waits; nil where that is not known.
	Above *Run
	// Controller is what the controller in charge of the namespace says of itself; nil where none
	// has said anything.
	Controller *Controller
}

// Parent is what a pipeline hangs below.
type Parent struct {
	Kind, Name string
	// Exists tells whether it exists. It is looked at for pipelines without a decision alone.
	Exists bool
}

// Run is a run and what its furthest stage waits for.
type Run struct {
	rest.Run

	Task Task
}

// Task is the task of the furthest stage, or of a build.
type Task struct {
	// DelayedBy is why a Pending task is set aside; empty where it is not.
	DelayedBy string
	// Cluster is the TargetCluster of the task; empty at home. Shut says why nothing is triggered
	// there, and since when; empty where something is.
	Cluster, Shut string
	// Failures is how often its Workflow was refused, NextAt when it is tried again by itself;
	// zero where it is not.
	Failures int
	NextAt   time.Time
	// ChangedAt is when it came into its state.
	ChangedAt time.Time
	// Before is how the stage's attempt before ended.
	Before string
	// Stopping tells that Argo has been asked to stop its Workflow.
	Stopping bool
	// Ahead is how many tasks go before it; negative where there are more than Most.
	Ahead int
	Most  int
	// TurnOf is the build that has its turn, where the stage waits for that of its own; TurnRun
	// is a run of it that goes on, and TurnsBefore how many builds wait before.
	TurnOf      string
	TurnRun     *rest.Run
	TurnsBefore int
}

// Controller is what a controller says of itself.
type Controller struct {
	// SeenAt is when it was last heard of.
	SeenAt time.Time
	// Silent tells that this was too long ago: what it said may not be true any more.
	Silent bool
	// InFlight Workflows are being created, of at most Limit.
	InFlight, Limit int
	// Triggered is how many were created in the last Observed.
	Triggered int
	Observed  time.Duration
	// GateClosed tells whether the backlog gate is closed: Active Workflows are unfinished, of at
	// most MaxActive. Holders are the oldest of them.
	GateClosed        bool
	Active, MaxActive int
	Holders           []string
	// Delay is why no Workflows are created in the namespace; nil where they are.
	Delay *Delay
	// TemplateWait is how long a stage waits for its template.
	TemplateWait time.Duration
}
