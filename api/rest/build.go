package rest

import "time"

// BuildList is builds of one namespace, the newest first.
type BuildList struct {
	Page

	Items []Build `json:"items" nullable:"false"`
}

// Build is a CiBuild.
type Build struct {
	Name        string     `json:"name"`
	UID         string     `json:"uid"`
	Pipeline    string     `json:"pipeline" doc:"Its CiPipeline."`
	Application string     `json:"application,omitempty" doc:"Application of its CiPipeline; absent where that is gone."`
	Revision    string     `json:"revision,omitempty"`
	Cause       string     `json:"cause,omitempty"`
	Phase       string     `json:"phase,omitempty" doc:"status.phase of the CiBuild; absent until it has one."`
	Artifacts   []Artifact `json:"artifacts" nullable:"false" doc:"Recorded when the build is planned."`
	Runs        RunCounts  `json:"runs"`
	CreatedAt   *time.Time `json:"createdAt,omitempty" doc:"Absent where it is not known: the build is older than an upgrade."`
	PlannedAt   *time.Time `json:"plannedAt,omitempty"`
	DeletedAt   *time.Time `json:"deletedAt,omitempty" doc:"When the CiBuild was found to be gone."`
}

// Artifact is an image that a build produced.
type Artifact struct {
	Image  string `json:"image"`
	Digest string `json:"digest"`
}

// RunCounts are the runs of a build. A run that has ended and was run again is not counted:
// the newer run is.
type RunCounts struct {
	Total      int64 `json:"total"`
	Active     int64 `json:"active" doc:"Runs that have not ended."`
	Succeeded  int64 `json:"succeeded"`
	Failed     int64 `json:"failed" doc:"Runs that ended as Failed or Error."`
	Cancelled  int64 `json:"cancelled" doc:"Runs that a person ended, or a change of their pipeline."`
	Superseded int64 `json:"superseded" doc:"Runs that a newer build has overtaken."`
}

// BuildDetail is one build and what came of it. Decisions, runs and events come in pages:
// each page has the next of all three.
type BuildDetail struct {
	Page

	Build     Build      `json:"build"`
	Decisions []Decision `json:"decisions" nullable:"false" doc:"What was decided for each pipeline below the build, in the order of the decisions."`
	Runs      []Run      `json:"runs" nullable:"false" doc:"Runs with their stages, in the order in which they were planned."`
	Events    []Event    `json:"events" nullable:"false" doc:"What happened, in the order of the transactions."`
}

// Decision is what was decided for one pipeline, and why.
type Decision struct {
	Build    string    `json:"build"`
	Pipeline string    `json:"pipeline"`
	Image    string    `json:"image,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Outcome  string    `json:"outcome" enum:"Triggered,Waiting,Skipped,Blocked"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message,omitempty"`
	At       time.Time `json:"at"`
}
