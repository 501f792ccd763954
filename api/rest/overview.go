package rest

// Overview is the applications of many namespaces, those that need attention first.
type Overview struct {
	Page

	Counts OverviewCounts    `json:"counts"`
	Items  []ApplicationItem `json:"items" nullable:"false" doc:"By state and name: failing, waiting, active, OK and new."`
}

// OverviewCounts counts the applications in each state that search and environment select.
type OverviewCounts struct {
	Failing int64 `json:"failing" doc:"The newest build of a CiPipeline, or the newest run of a CdPipeline, has failed."`
	Waiting int64 `json:"waiting" doc:"A run waits for something else than a slot, such as a person, a window or a freeze."`
	Active  int64 `json:"active" doc:"A build or a run is under way."`
	OK      int64 `json:"ok" doc:"What was built and deployed last has succeeded."`
	New     int64 `json:"new" doc:"Nothing was built yet."`
}

// ApplicationItem is one application as the list shows it.
type ApplicationItem struct {
	Namespace    string          `json:"namespace"`
	Name         string          `json:"name"`
	State        string          `json:"state" enum:"Failing,Waiting,Active,OK,New"`
	CiPipelines  int64           `json:"ciPipelines" doc:"CiPipelines that exist."`
	CdPipelines  int64           `json:"cdPipelines" doc:"CdPipelines that exist."`
	Runs         ApplicationRuns `json:"runs"`
	Environments []string        `json:"environments" nullable:"false" doc:"Environments of its CdPipelines, sorted."`
	LastBuild    *Build          `json:"lastBuild,omitempty" doc:"The newest build of all its CiPipelines; absent where there is none."`
}

// ApplicationRuns counts the CdPipelines of an application by their newest run.
type ApplicationRuns struct {
	Failed    int64 `json:"failed"`
	Waiting   int64 `json:"waiting" doc:"Wait for something else than a slot."`
	Active    int64 `json:"active"`
	Succeeded int64 `json:"succeeded"`
}
