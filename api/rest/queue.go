package rest

import "time"

// Queue is the tasks of one state, and how many there are of each.
type Queue struct {
	Page

	Counts QueueCounts `json:"counts"`
	Items  []Task      `json:"items" nullable:"false" doc:"Pending tasks in the order in which they are served, one lane after the other; tasks of other states by id."`
}

// QueueCounts counts the tasks that the caller may see and that have not ended.
type QueueCounts struct {
	Held       int64      `json:"held" doc:"Wait for something else than a slot. Stages that wait for the stage before are not counted."`
	Pending    int64      `json:"pending" doc:"Wait for a slot."`
	Submitting int64      `json:"submitting" doc:"Their Workflows are being created now."`
	Active     int64      `json:"active" doc:"Their Workflows exist and have not ended."`
	Oldest     *time.Time `json:"oldest,omitempty" doc:"Since when the oldest Pending task waits."`
}

// Task is one entry of the queue.
type Task struct {
	ID           int64      `json:"id"`
	Kind         string     `json:"kind" doc:"cd: a stage of a run. ci: a build."`
	Cluster      string     `json:"cluster,omitempty" doc:"Absent for the cluster that Penstock runs in."`
	Namespace    string     `json:"namespace"`
	Pipeline     string     `json:"pipeline" doc:"Name of the object that owns the task."`
	Build        string     `json:"build,omitempty"`
	Run          int64      `json:"run,omitempty"`
	Stage        string     `json:"stage,omitempty"`
	State        string     `json:"state" enum:"Held,Pending,Submitting,Submitted,Running"`
	Reason       string     `json:"reason,omitempty"`
	Message      string     `json:"message,omitempty"`
	Priority     int32      `json:"priority"`
	Attempt      int32      `json:"attempt" doc:"How often it was claimed."`
	Failures     int32      `json:"failures" doc:"How often its submission failed and is to be tried again."`
	WorkflowName string     `json:"workflowName"`
	QueuedAt     time.Time  `json:"queuedAt"`
	NotBefore    *time.Time `json:"notBefore,omitempty" doc:"When it is tried again; absent where it may start at once."`
}
