package rest

import "time"

// RunList is runs of one pipeline, the newest first.
type RunList struct {
	Page

	Items []Run `json:"items" nullable:"false"`
}

// Run is one execution of a CdPipeline for an artifact, or for all artifacts of a build.
type Run struct {
	ID         int64      `json:"id" doc:"Unique in the installation."`
	Number     int32      `json:"number" doc:"1 for the first run of an artifact in a pipeline, then 2, 3 …"`
	Pipeline   string     `json:"pipeline"`
	Build      string     `json:"build"`
	Image      string     `json:"image"`
	Digest     string     `json:"digest"`
	Artifacts  string     `json:"artifacts" doc:"Each: this artifact alone. All: every artifact of the build." enum:"Each,All"`
	Cluster    string     `json:"cluster,omitempty" doc:"The TargetCluster that its Workflows are in; absent for the cluster that Penstock runs in."`
	Cause      string     `json:"cause,omitempty"`
	Actor      string     `json:"actor,omitempty" doc:"Who asked for the run; absent where a build triggered it."`
	Outcome    string     `json:"outcome,omitempty" doc:"Absent while the run goes on." enum:"Succeeded,Failed,Error,Cancelled,Superseded"`
	Stages     []Stage    `json:"stages" nullable:"false" doc:"All stages, in their order, those to come included."`
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

// Stage is one stage of a run, at its last attempt.
type Stage struct {
	Stage        string     `json:"stage" enum:"PRE,DEPLOY,POST"`
	Attempt      int32      `json:"attempt"`
	State        string     `json:"state" enum:"Held,Pending,Submitting,Submitted,Running,Succeeded,Failed,Error,Cancelled,Superseded"`
	Reason       string     `json:"reason,omitempty" doc:"Why it is held, or how it ended."`
	Message      string     `json:"message,omitempty"`
	ResumedBy    string     `json:"resumedBy,omitempty" doc:"Who let the stage start."`
	WorkflowName string     `json:"workflowName" doc:"Name that the Workflow has or will have."`
	WorkflowUID  string     `json:"workflowUID,omitempty"`
	QueuedAt     *time.Time `json:"queuedAt,omitempty" doc:"Since when it waits, or waited, for a slot."`
	SubmittedAt  *time.Time `json:"submittedAt,omitempty"`
	StartedAt    *time.Time `json:"startedAt,omitempty"`
	FinishedAt   *time.Time `json:"finishedAt,omitempty"`
}

// RunDetail is one run and its history.
type RunDetail struct {
	Run

	Namespace string  `json:"namespace"`
	Events    []Event `json:"events" nullable:"false" doc:"What happened to the run, in the order of the transactions; at most the first 1,000."`
}
