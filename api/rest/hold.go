package rest

// Hold is whether a CdPipeline is held.
type Hold struct {
	Hold       bool   `json:"hold" doc:"spec.hold: runs are planned and wait."`
	By         string `json:"by,omitempty" doc:"Who has changed it."`
	Reason     string `json:"reason,omitempty" doc:"Why."`
	Generation int64  `json:"generation" doc:"metadata.generation of the CdPipeline."`
}

// HoldInput asks for a CdPipeline to be held, or released.
type HoldInput struct {
	Hold       bool   `json:"hold" doc:"True holds the pipeline, false releases it."`
	Reason     string `json:"reason,omitempty" maxLength:"1024" doc:"Why, for everybody who looks at the pipeline."`
	Generation int64  `json:"generation,omitempty" minimum:"1" doc:"Refuses the change where the CdPipeline is of another generation, and not yet as wanted."`
}
