package rest

import "time"

// ApplicationList is the applications of one namespace, by name.
type ApplicationList struct {
	Page

	Items []Application `json:"items" nullable:"false"`
}

// Application is the pipelines that have the same `application`.
type Application struct {
	Name         string   `json:"name"`
	CiPipelines  int64    `json:"ciPipelines" doc:"CiPipelines that exist."`
	CdPipelines  int64    `json:"cdPipelines" doc:"CdPipelines that exist."`
	Environments []string `json:"environments" nullable:"false" doc:"Environments of its CdPipelines, sorted."`
}

// ApplicationStatus is the trigger view: the CI and the CD side of one application. Each
// half is read on its own, and one that fails does not spoil the other.
type ApplicationStatus struct {
	Namespace   string `json:"namespace"`
	Application string `json:"application"`
	CI          CiHalf `json:"ci"`
	CD          CdHalf `json:"cd"`
}

// CiHalf is the CI side of an application.
type CiHalf struct {
	Pipelines []CiPipelineStatus `json:"pipelines" nullable:"false"`
	Truncated bool               `json:"truncated,omitempty" doc:"There are more pipelines than an answer holds."`
	Error     *Failure           `json:"error,omitempty" doc:"Why this half is missing."`
}

// CdHalf is the CD side of an application.
type CdHalf struct {
	Pipelines []CdPipelineStatus `json:"pipelines" nullable:"false"`
	Truncated bool               `json:"truncated,omitempty" doc:"There are more pipelines than an answer holds."`
	Error     *Failure           `json:"error,omitempty" doc:"Why this half is missing."`
}

// CiPipelineStatus is one CiPipeline and its newest build.
type CiPipelineStatus struct {
	Name      string `json:"name"`
	Suspended bool   `json:"suspended,omitempty"`
	LastBuild *Build `json:"lastBuild,omitempty" doc:"The newest build; absent where there is none."`
}

// CdPipelineStatus is one CdPipeline, its newest run and what it has deployed.
type CdPipelineStatus struct {
	Name              string       `json:"name"`
	Environment       string       `json:"environment,omitempty"`
	ParentKind        string       `json:"parentKind" doc:"CiPipeline or CdPipeline."`
	ParentName        string       `json:"parentName"`
	ConcurrencyPolicy string       `json:"concurrencyPolicy,omitempty"`
	Suspended         bool         `json:"suspended,omitempty"`
	Held              bool         `json:"held,omitempty" doc:"spec.hold: runs are planned and wait."`
	LastRun           *LastRun     `json:"lastRun,omitempty" doc:"The newest run; absent where there is none."`
	Waiting           []LastRun    `json:"waiting" nullable:"false" doc:"Runs of which a stage waits, newer or older than lastRun, at most 8: those first that wait for something else than the turn of another build."`
	LastDecision      *Decision    `json:"lastDecision,omitempty" doc:"What the last finished build came to here."`
	Deployed          []Deployment `json:"deployed" nullable:"false" doc:"The last DEPLOY that succeeded, for each repository, the newest first."`
}

// LastRun is a run of a pipeline, such as the newest, at the stage that it has reached.
type LastRun struct {
	ID           int64     `json:"id"`
	Build        string    `json:"build"`
	Image        string    `json:"image"`
	Digest       string    `json:"digest"`
	Outcome      string    `json:"outcome,omitempty" doc:"How the run ended; absent while it goes on." enum:"Succeeded,Failed,Error,Cancelled,Superseded"`
	Cluster      string    `json:"cluster,omitempty" doc:"The TargetCluster that its Workflows are in; absent for the cluster that Penstock runs in."`
	Stage        string    `json:"stage" enum:"PRE,DEPLOY,POST"`
	State        string    `json:"state" doc:"State of the stage's task."`
	Reason       string    `json:"reason,omitempty"`
	Message      string    `json:"message,omitempty"`
	WorkflowName string    `json:"workflowName,omitempty" doc:"Absent until the Workflow exists."`
	CreatedAt    time.Time `json:"createdAt"`
	ChangedAt    time.Time `json:"changedAt"`
}

// Deployment is an artifact that is deployed.
type Deployment struct {
	Image  string    `json:"image"`
	Digest string    `json:"digest"`
	Build  string    `json:"build"`
	At     time.Time `json:"at"`
}
