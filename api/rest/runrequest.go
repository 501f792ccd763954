package rest

import "time"

// RunRequestInput asks for one action, once.
type RunRequestInput struct {
	Name string         `json:"name,omitempty" maxLength:"253" pattern:"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" patternDescription:"a name of an object" doc:"Name of the RunRequest. The same name with the same spec asks once, however often it is sent. Absent means a new name, and a new request."`
	Spec RunRequestSpec `json:"spec"`
}

// RunRequestSpec is the spec of a RunRequest; the kind says which fields go together.
type RunRequestSpec struct {
	Action      string            `json:"action" enum:"Trigger,Retry,Resume,Cancel,Rollback" doc:"What to do."`
	PipelineRef *NameReference    `json:"pipelineRef,omitempty" doc:"The CdPipeline, in the same namespace."`
	BuildRef    *NameReference    `json:"buildRef,omitempty" doc:"The CiBuild."`
	Run         *int64            `json:"run,omitempty" minimum:"1" doc:"Number of a run of the pipeline."`
	Stage       string            `json:"stage,omitempty" enum:"PRE,DEPLOY,POST" doc:"Stage that Retry begins with, or that Resume starts."`
	Reason      string            `json:"reason,omitempty" maxLength:"1024" doc:"Why, for everybody who reads the history."`
	AllowOlder  bool              `json:"allowOlder,omitempty" doc:"True lets Trigger and Retry deploy a build although a newer one had its turn."`
	By          string            `json:"by,omitempty" maxLength:"512" doc:"User who asks: absent means the caller. To name somebody else needs the verb requestforothers."`
	Target      *RunRequestTarget `json:"target,omitempty" doc:"The object that it is about where that is no pipeline."`
}

// NameReference names an object of the same namespace.
type NameReference struct {
	Name string `json:"name" minLength:"1" maxLength:"253" pattern:"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" patternDescription:"a name of an object"`
}

// RunRequestTarget names an object that is no pipeline.
type RunRequestTarget struct {
	Kind string `json:"kind" enum:"CiBuild,BaseImage,TargetCluster"`
	Name string `json:"name" minLength:"1" maxLength:"253" pattern:"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" patternDescription:"a name of an object"`
}

// RunRequest is a RunRequest as it is at the API server.
type RunRequest struct {
	Namespace string           `json:"namespace"`
	Name      string           `json:"name"`
	UID       string           `json:"uid"`
	CreatedAt time.Time        `json:"createdAt"`
	Spec      RunRequestSpec   `json:"spec"`
	Status    RunRequestStatus `json:"status"`
}

// RunRequestStatus is what became of a request.
type RunRequestStatus struct {
	Phase   string     `json:"phase,omitempty" enum:"Accepted,Done,Refused" doc:"Absent until the controller has looked at it: send the same again to read it."`
	Run     int64      `json:"run,omitempty" doc:"The run that was made, resumed or cancelled."`
	Message string     `json:"message,omitempty" doc:"What was done, or why not."`
	At      *time.Time `json:"at,omitempty" doc:"When it was carried out or refused."`
}
