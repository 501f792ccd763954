package rest

import "time"

// BuildExplanation says why a build is as it is, and what came of it in each pipeline below.
type BuildExplanation struct {
	Page

	Namespace string                `json:"namespace"`
	Build     string                `json:"build"`
	Summary   string                `json:"summary" doc:"How the build itself stands, as a sentence."`
	Commands  []string              `json:"commands" nullable:"false" doc:"Commands that change that."`
	Pipelines []PipelineExplanation `json:"pipelines" nullable:"false" doc:"One for each artifact and pipeline, in the order of the decisions."`
}

// PipelineExplanations says why a pipeline is as it is, by the last build that came to it.
type PipelineExplanations struct {
	Namespace string                `json:"namespace"`
	Pipeline  string                `json:"pipeline"`
	Summary   string                `json:"summary" doc:"How the pipeline itself stands, as a sentence."`
	Commands  []string              `json:"commands" nullable:"false" doc:"Commands that change that."`
	Pipelines []PipelineExplanation `json:"pipelines" nullable:"false" doc:"One for each artifact of the last build that was decided on; at most 50."`
}

// PipelineExplanation is what was decided for one pipeline and build, what it waits for, what
// came of it, and what changes that. The texts are sentences without their full stop.
type PipelineExplanation struct {
	Pipeline string     `json:"pipeline"`
	Build    string     `json:"build,omitempty" doc:"Absent where nothing was decided yet."`
	Image    string     `json:"image,omitempty"`
	Outcome  string     `json:"outcome,omitempty" doc:"Of the decision: Triggered, Waiting, Skipped or Blocked."`
	Reason   string     `json:"reason,omitempty" doc:"Of the decision."`
	Decided  string     `json:"decided" doc:"What was decided."`
	Rule     string     `json:"rule,omitempty" doc:"By which rule."`
	At       *time.Time `json:"at,omitempty" doc:"When it was decided."`
	Run      int64      `json:"run,omitempty" doc:"Number of the newest run that came of it."`
	Cluster  string     `json:"cluster,omitempty" doc:"The TargetCluster that the run's Workflows are in; absent for the cluster that Penstock runs in."`
	Stage    string     `json:"stage,omitempty" doc:"The stage that the run is at."`
	State    string     `json:"state,omitempty" doc:"State of that stage, with its reason."`
	Waits    string     `json:"waits,omitempty" doc:"What it waits for now; absent where it waits for nothing."`
	Since    *time.Time `json:"since,omitempty" doc:"Since when it is in this state."`
	Became   []string   `json:"became" nullable:"false" doc:"What came of it so far, stage by stage."`
	Commands []string   `json:"commands" nullable:"false" doc:"Commands that change it."`
}

// Simulation is what would be decided if a build succeeded now.
type Simulation struct {
	Build     string                `json:"build"`
	Notes     []string              `json:"notes" nullable:"false" doc:"What is wrong, and what the simulation does not show."`
	Pipelines []PipelineExplanation `json:"pipelines" nullable:"false" doc:"One for each artifact and pipeline, in the order of the decisions."`
}
