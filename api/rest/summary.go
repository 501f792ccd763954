package rest

import "time"

// QueueSummary is how the queue does at one moment, of what the caller may see.
type QueueSummary struct {
	At     time.Time      `json:"at" doc:"When it was read."`
	Lanes  []Lane         `json:"lanes" nullable:"false" doc:"Those that have tasks, or had triggers in the last minute."`
	Oldest []Task         `json:"oldest" nullable:"false" doc:"The Pending tasks that have waited longest, at most 5."`
	Held   []HeldReason   `json:"held" nullable:"false" doc:"Why tasks are held, the most frequent reason first, at most 10."`
	Active []ActiveHolder `json:"active" nullable:"false" doc:"The Workflows of this cluster that have not ended and are there for the longest time, at most 3. They keep a backlog gate closed."`
	Failed Failures       `json:"failed"`
}

// Lane is the tasks of one kind in one cluster.
type Lane struct {
	Kind       string     `json:"kind" doc:"cd: stages of runs. ci: builds."`
	Cluster    string     `json:"cluster,omitempty" doc:"Absent for the cluster that Penstock runs in."`
	Held       int64      `json:"held"`
	Pending    int64      `json:"pending"`
	Submitting int64      `json:"submitting" doc:"In flight: their Workflows are being created now."`
	Active     int64      `json:"active"`
	Oldest     *time.Time `json:"oldest,omitempty" doc:"Since when the oldest Pending task waits."`
	PerSecond  float64    `json:"perSecond" doc:"Workflows created a second, in the last minute, or since the oldest of the last 2,000 events where those are younger."`
	WaitHalf   float64    `json:"waitHalfSeconds" doc:"Time from the queue to the Workflow in the same minute: median, in seconds."`
	WaitMost   float64    `json:"waitMostSeconds" doc:"The same, 99 of 100."`
	Shut       string     `json:"shut,omitempty" doc:"Why and since when nothing is triggered in the cluster; absent while the lane is open."`
}

// HeldReason is why tasks are held.
type HeldReason struct {
	Reason string `json:"reason"`
	Tasks  int64  `json:"tasks"`
}

// ActiveHolder is a Workflow that has not ended.
type ActiveHolder struct {
	Namespace    string    `json:"namespace"`
	Pipeline     string    `json:"pipeline"`
	WorkflowName string    `json:"workflowName"`
	Since        time.Time `json:"since"`
}

// Failures are tasks that failed lately.
type Failures struct {
	Count         int64        `json:"count" doc:"Among the last 2,000 events."`
	WindowSeconds int64        `json:"windowSeconds" doc:"How far back that is at most."`
	Items         []FailedTask `json:"items" nullable:"false" doc:"The newest, at most 5."`
}

// FailedTask is a task that ended as Failed or Error.
type FailedTask struct {
	At        time.Time `json:"at"`
	Namespace string    `json:"namespace"`
	Pipeline  string    `json:"pipeline"`
	Build     string    `json:"build,omitempty"`
	Stage     string    `json:"stage,omitempty"`
	State     string    `json:"state" enum:"Failed,Error"`
	Reason    string    `json:"reason,omitempty"`
	Message   string    `json:"message,omitempty"`
}

// QueueTrend is how triggers went lately, of what the caller may see.
type QueueTrend struct {
	Seconds float64      `json:"seconds" doc:"How far back that is: an hour, or since the oldest of the last 5,000 events."`
	Points  []TrendPoint `json:"points" nullable:"false" doc:"Equal parts of that time, the oldest first."`
}

// TrendPoint is how triggers went in one part of that time.
type TrendPoint struct {
	PerSecond float64 `json:"perSecond" doc:"Workflows created a second."`
	WaitHalf  float64 `json:"waitHalfSeconds" doc:"Time from the queue to the Workflow: median, in seconds; 0 where none was created."`
}
