package store_test

import (
	"maps"
	"strings"
)

// plan is what a statement of queries/*.sql may cost when the tables are large.
type plan struct {
	// pages is how many pages of 8 KiB it may read at most.
	pages int
	// arguments are its own; what is not among them is in usual.
	arguments map[string]string
	// exempt says why its plan does not matter.
	exempt string
}

type arguments = map[string]string

// usual are the arguments of statements that do not need their own.
var usual = arguments{
	"most": "100", "head": "100", "look": "500", "after": "0", "before": "9223372036854775807", "age": "1 hour",
	"kind": "cd", "cluster": "", "namespace": "ns-1", "name": "w", "replica": "r", "worker": "w", "lease": "30 s", "silence": "5 s", "quiet": "30 s", "since": "2 minutes", "wait": "1 minute",
	"build_uid": "b-101", "build_name": "build-101", "pipeline": "p-1", "pipeline_uid": "p-1", "owner_uid": "p-1", "application": "p-1", "stage": "DEPLOY",
	"ci_pipeline": "ci-1", "revision": "main", "ref": "main", "cause": "Push", "phase": "Succeeded", "created_at": "2024-05-17", "run_id": "1", "id": "1", "attempt": "2",
	"actor": "somebody", "actor_reason": "not now", "reason": "Cancelled", "message": "", "parent": "", "priority": "1", "request": "again", "asked": "false", "action": "Trigger", "spec_hash": "new",
	"suspended": "{1}", "unchanged": "-infinity", "passed_over": "{1}", "most_each": "5",
	"limited": "{ns-1}", "rooms": "{10}", "room": "2000000000", "causes": "{QuotaExceeded}", "of_objects": "{PolicyDenied}", "released": "{ns-1}",
	"cluster_uid": "", "seen_uid": "", "old_cluster": "c-2",
	"reasons": "{Person,Hold}", "before_xid": "9000000000", "before_id": "9223372036854775807", "after_xid": "180", "after_id": "0",
}

// all is a bound for what has an index that leads to each of some hundred rows; one for
// what leads to one or a few.
const all, one = 6000, 100

// plansOf are the statements by name. Most run in loops of the controller, for each build,
// pipeline or group of Workflows; those of view.sql for each request to the server.
func plansOf(h history) map[string]plan {
	plans := map[string]plan{}
	for _, some := range []map[string]plan{
		dispatched(h), tracked(h), followed(h), planning(h), chunked(h), reported(h), asked(h), mirroring(h), pruned(h), viewed(h), notifying(h), receiving(), toldPeople(), basedOn(), built(h), waved(), wavesViewed(), elsewhere(), explained(h),
	} {
		maps.Copy(plans, some)
	}
	return plans
}

// of are arguments with the same number of texts in each array.
func of(n int, texts ...string) arguments {
	made := arguments{}
	for _, text := range texts {
		name, one, _ := strings.Cut(text, "=")
		made[name] = "{" + strings.TrimSuffix(strings.Repeat(`"`+one+`",`, n), ",") + "}"
	}
	return made
}

func joined(some ...arguments) arguments {
	made := arguments{}
	for _, one := range some {
		maps.Copy(made, one)
	}
	return made
}

// workflowsOf are those of the first stages of runs.
func workflowsOf(runs []int) arguments {
	return arguments{
		"namespaces":     array(runs, func(run int) string { return as("ns-%d")(((run-1)/5 + 1) % 100) }),
		"workflow_names": array(runs, func(run int) string { return as("w-%d")(2*run - 1) }),
		"workflow_uids":  array(runs, func(run int) string { return as("uid-%d")(2*run - 1) }),
		"identities":     array(runs, func(run int) string { return as("identity-%d")(2*run - 1) }),
	}
}

func tasksOf(name string, runs []int) arguments {
	return arguments{name: array(runs, func(run int) string { return as("%d")(2*run - 1) })}
}

func runsOf(name string, runs []int) arguments { return arguments{name: array(runs, as("%d"))} }

func buildsOf(runs []int) arguments {
	return arguments{"build_uids": array(runs, func(run int) string { return as("b-%d")((run-1)/5 + 1) })}
}

func pipelineArrays(n int) arguments {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return arguments{
		"pipeline_uids": array(numbers, as("p-%d")), "namespaces": array(numbers, func(n int) string { return as("ns-%d")(n % 100) }), "pipelines": array(numbers, as("p-%d")),
	}
}

// The queue holds 1 % of the tasks, what is set aside half as many, and what waits for a
// turn or a stage 3 %. Counts read all of that.
func dispatched(h history) map[string]plan {
	claimed := h.runs(9, 1000)
	submitting := claimed[:0:0]
	for _, run := range claimed {
		if run%500 == 9 {
			submitting = append(submitting, run)
		}
	}
	n := len(submitting)
	return map[string]plan{
		"ClaimTasks":        {pages: all + h.tasks/50, arguments: arguments{"cause": "NamespaceShare"}},
		"ClaimDelayed":      {pages: one * 3},
		"ClaimEnding":       {pages: one},
		"ReleaseDelayed":    {pages: all},
		"DelayedNamespaces": {pages: 1000},
		"DelayedOwners":     {pages: 2 * one},
		"DelayedTasks":      {pages: h.tasks / 50},
		"CompleteTasks": {pages: all, arguments: joined(tasksOf("ids", submitting),
			of(n, "attempts=1", "statuses=Submitted", "reasons=", "messages=", "delays=0 s", "faileds=false", "workflow_uids=uid", "delayed_bys="))},
		"ReclaimExpired":    {pages: all},
		"QueueDepth":        {pages: h.tasks / 50},
		"ActiveWorkflows":   {pages: h.tasks / 100},
		"ActiveByNamespace": {pages: h.tasks / 100},
		"OldestActive":      {pages: h.tasks / 100},
		"StoppingTasks":     {pages: one},
		"BeatWorker":        {pages: one, arguments: arguments{"state": "{}"}},
		"TakeOver":          {pages: 2 * one},
		"InsertTasks":       {exempt: "it reads no table"},
		"StopTasks":         {pages: all, arguments: runsOf("run_ids", h.runs(8, 100))},
		"CancelWaiting":     {pages: all},
		"HoldPending":       {pages: all},
		"SetPriority":       {pages: all},
		"EndTemplateWaits":  {pages: one},
		"WaitingPipelines":  {pages: h.tasks / 20},
		"HeldOf":            {pages: one},
	}
}

func tracked(h history) map[string]plan {
	active, ended := h.runs(8, 100), h.old(100)
	observed := of(100, "statuses=Succeeded", "reasons=", "messages=")
	return map[string]plan{
		"ObserveWorkflows": {pages: all, arguments: joined(workflowsOf(active), observed)},
		"LostWorkflows":    {pages: all, arguments: joined(tasksOf("ids", active), observed)},
		"OpenTasks":        {pages: all, arguments: workflowsOf(active)},
		"EndedTasks":       {pages: all, arguments: workflowsOf(ended)},
		"LostRuns": {pages: all, arguments: joined(pipelineArrays(100), buildsOf(ended), of(100, "images=i", "digests=d", "build_names=b"), runsOf("run_ids", ended),
			arguments{"build_uids": buildsOf(ended)["build_uids"], "places": array(ended, as("%d"))})},
		"MarkLost":         {pages: one, arguments: arguments{"image": "i", "digest": "d"}},
		"NoteTurn":         {pages: one},
		"SkipRunIDs":       {exempt: "it reads a sequence alone"},
		"HasLostRuns":      {pages: one},
		"UnknownWorkflows": {pages: all, arguments: workflowsOf(ended)},
		"StaleActive":      {pages: h.tasks / 100},
		"SubmittedTasks":   {pages: h.tasks / 100},
		"MarkPickup":       {pages: all, arguments: joined(tasksOf("ids", active), observed)},
		"EndedOtherwise":   {pages: all, arguments: joined(workflowsOf(ended), of(100, "statuses=Running"))},
		"ReopenableTasks":  {pages: all, arguments: joined(workflowsOf(ended), of(100, "statuses=Running", "counts=0", "messages="))},
		"LockReopenable":   {pages: all, arguments: workflowsOf(ended)},
		"UnbegunStages":    {pages: all, arguments: runsOf("run_ids", active)},
		"RetakeTurns":      {pages: all, arguments: runsOf("turn_ids", ended)},
		"ReopenRuns":       {pages: all, arguments: joined(runsOf("run_ids", ended), of(100, "overtaken=false", "reasons=", "messages="))},
		"ReopenTasks":      {pages: all, arguments: joined(tasksOf("ids", ended), of(100, "becomes=Running", "counts=0", "alone=false", "messages="))},
		"PointStagesBack":  {pages: all, arguments: joined(tasksOf("stage_ids", ended), tasksOf("task_ids", ended))},
	}
}

func followed(h history) map[string]plan {
	held, old := h.runs(6, 100), h.old(100)
	return map[string]plan{
		"Unfollowed":           {pages: 2000},
		"RunsOfBuild":          {pages: one, arguments: arguments{"pipeline_uids": "{p-1,p-101}"}},
		"RunsSince":            {pages: one, arguments: arguments{"pipeline_uids": "{p-1,p-101}"}},
		"TriggeredBelow":       {pages: one, arguments: arguments{"pipeline_uids": "{p-1,p-101}"}},
		"BuildPlaces":          {pages: all, arguments: buildsOf(old)},
		"RunArtifacts":         {pages: all, arguments: runsOf("run_ids", old)},
		"SettleTasks":          {pages: all, arguments: joined(tasksOf("ids", old), runsOf("run_ids", old), of(100, "stopped=false", "reopened=0"))},
		"ReleaseStages":        {pages: all, arguments: joined(runsOf("run_ids", held), of(100, "stages=POST", "statuses=Pending", "reasons=", "messages="))},
		"CancelLaterStages":    {pages: all, arguments: runsOf("run_ids", held)},
		"SupersedeLaterStages": {pages: all, arguments: runsOf("run_ids", held)},
		"RetryStages":          {pages: all, arguments: joined(tasksOf("stage_ids", held), tasksOf("task_ids", held))},
		"FinishRuns":           {pages: all, arguments: joined(runsOf("cd_workflow_ids", held), of(100, "outcomes=Succeeded"))},
		"SetDeployed":          {pages: all, arguments: joined(pipelineArrays(100), runsOf("run_ids", old), of(100, "repositories=registry/app", "images=i", "digests=d", "build_names=b"))},
		"SettleWaiting":        {pages: all, arguments: joined(pipelineArrays(5), buildsOf(old[:5]), of(5, "images=registry/app:1", "digests=sha256:1"))},
	}
}

func planning(h history) map[string]plan {
	held, old := h.runs(6, 100), h.old(100)
	return map[string]plan{
		"EnsureBuild":     {pages: one, arguments: arguments{"build_uid": "new"}},
		"PlanBuild":       {pages: one, arguments: arguments{"build_uid": "new"}},
		"BuildIsPlanned":  {pages: one},
		"PlannedBuilds":   {pages: all, arguments: buildsOf(old)},
		"InsertArtifacts": {pages: one, arguments: of(2, "images=i", "digests=d")},
		"BuildArtifacts":  {pages: one},
		"InsertRuns":      {exempt: "it reads no table"},
		"InsertStages":    {exempt: "it reads no table"},
		"InsertTurns":     {pages: one, arguments: arguments{"pipeline_uids": "{p-1,p-101}", "states": "{Active,Active}"}},
		"InsertDecisions": {pages: one, arguments: joined(of(1, "images=i", "digests=d", "outcomes=Skipped", "reasons=", "messages=", "waits_fors="), arguments{"pipelines": "{p-1}", "pipeline_uids": "{p-1}"})},
		"PointToRuns":     {pages: all, arguments: joined(pipelineArrays(100), runsOf("run_ids", old))},
		"EnsurePipelines": {pages: all, arguments: pipelineArrays(100)},
		"LockPipelines":   {pages: all, arguments: pipelineArrays(100)},
		"LiveTurns":       {pages: all, arguments: joined(buildsOf(old), arguments{"ordered": "{p-1,p-2}", "unordered": "{p-3,p-4}"})},
		"RaiseNewest":     {pages: all, arguments: runsOf("turn_ids", held)},
		"TakeTurns":       {pages: 2 * all, arguments: runsOf("turn_ids", held)},
		"SupersedeTurns":  {pages: 2 * all, arguments: joined(runsOf("turn_ids", held), of(100, "messages="))},
		"TurnFacts":       {pages: all, arguments: runsOf("turn_ids", held)},
		"SetTurns":        {pages: all, arguments: joined(runsOf("turn_ids", held), of(100, "states=Active"))},
		"RunsOfTurns":     {pages: all, arguments: runsOf("turn_ids", held)},
		"SetOvertaken":    {pages: one},
		"SetStageAttempt": {pages: one},
	}
}

// Of plans that are under way there are few, and their rows are deleted as they go.
func chunked(h history) map[string]plan {
	few := arguments{"places": "{1,2}", "pipeline_uids": "{p-1,p-101}", "pipelines": "{p-1,p-101}", "root_uids": "{p-2,p-102}"}
	return map[string]plan{
		"BeginPlan":           {pages: one, arguments: arguments{"build_uid": "new"}},
		"InsertPlan":          {pages: one, arguments: arguments{"build_uid": "new", "suspended": "false"}},
		"InsertPlanPipelines": {exempt: "it reads no table"},
		"OpenPlans":           {pages: one},
		"NextChunk":           {pages: one},
		"LockPlan":            {pages: one},
		"TakeChunk":           {pages: one, arguments: few},
		"MovePlan":            {pages: one, arguments: arguments{"runs": "1", "filter_cost": "1"}},
		"FinishPlan":          {pages: one},
		"InsertBelow":         {pages: one, arguments: few},
	}
}

func reported(h history) map[string]plan {
	builds := buildsOf(h.runs(0, 50))
	some := joined(pipelineArrays(200))
	return map[string]plan{
		"EventHorizon":      {exempt: "it reads no table"},
		"EventsAfter":       {pages: one},
		"EventDelay":        {pages: one},
		"BuildSummaries":    {pages: all, arguments: builds},
		"BuildDecisions":    {pages: all, arguments: builds},
		"FailedRuns":        {pages: all, arguments: builds},
		"HeldRuns":          {pages: all, arguments: builds},
		"DelayedRuns":       {pages: all, arguments: builds},
		"WaitingBuilds":     {pages: h.tasks / 50},
		"HeldBackPipelines": {pages: h.tasks / 50},
		"LastRuns":          {pages: all, arguments: some},
		"DeployedArtifacts": {pages: all, arguments: some},
		"LastDecisions":     {pages: all, arguments: some},
	}
}

// A pipeline has a thousandth of the tasks; who looks for what was before reads its runs.
func asked(h history) map[string]plan {
	return map[string]plan{
		"FindRequest":    {pages: one},
		"InsertRequest":  {pages: one, arguments: arguments{"phase": "Done"}},
		"RequestedBuild": {pages: one},
		"RunsOf":         {pages: 2 * all, arguments: arguments{"run_id": "0", "build_name": ""}},
		"RunNumbers":     {pages: one},
		"ResumeStage":    {pages: one},
		"DeployedBuild":  {pages: one},
		"BuildBefore":    {pages: h.tasks / 50},
		"DeployedOf":     {pages: all},
	}
}

func mirroring(h history) map[string]plan {
	builds := h.old(100)
	of100 := joined(buildsOf(builds), of(100, "namespaces=ns-1", "build_names=b", "ci_pipelines=ci-1", "revisions=", "refs=main", "causes=", "phases=Failed", "created_ats=2024-05-17", "spec_hashes=h"),
		arguments{"places": array(builds, as("%d"))})
	pipelines := joined(pipelineArrays(100), of(100, "applications=a", "environments=", "parent_kinds=", "parent_names=", "policies=", "suspended=false", "held=false", "spec_hashes=h"))
	return map[string]plan{
		"MirrorBuilds":        {pages: 2 * all, arguments: of100},
		"MirrorCdPipelines":   {pages: all, arguments: pipelines},
		"MirrorCiPipelines":   {pages: all, arguments: pipelines},
		"DeleteMirrored":      {pages: all, arguments: arguments{"uids": buildsOf(builds)["build_uids"]}},
		"MirroredObjects":     {pages: all, arguments: arguments{"after": "b-5", "most": "500"}},
		"InsertClusterEvents": {pages: one, arguments: joined(of(1, "cluster_uids=c-1", "clusters=c-1", "phases=Degraded", "reasons=", "messages=", "versions=", "occurred_ats=2024-05-17", "places=0"))},
		"ClusterEvents":       {pages: 2 * one, arguments: arguments{"cluster": "c-1"}},
	}
}

// All that is looked at is old enough.
func pruned(history) map[string]plan {
	page := arguments{"most": "1000"}
	return map[string]plan{
		"PruneEvents":        {pages: 2 * all, arguments: page},
		"PruneClusterEvents": {pages: 3 * all, arguments: page},
		"PruneDeployed":      {pages: 3 * all, arguments: page},
		"PruneRuns":          {pages: 3 * all, arguments: arguments{"most": "140"}},
		"PruneTasks":         {pages: 3 * all, arguments: page},
		"PruneDecisions":     {pages: 2 * all, arguments: page},
		"PruneTurns":         {pages: 2 * all, arguments: page},
		"PruneArtifacts":     {pages: 2 * all, arguments: page},
		"PruneBuilds":        {pages: 2 * all, arguments: page},
		"PruneWaves":         {pages: all, arguments: arguments{"most": "5"}},
		"PruneBaseImages":    {pages: all, arguments: arguments{"most": "50"}},
	}
}

func viewed(h history) map[string]plan {
	runs := h.old(100)
	return map[string]plan{
		"ViewNamespaces":               {pages: 1000},
		"ViewOverview":                 {exempt: "it looks at the newest run of every pipeline that the caller may see, and at older ones that wait"},
		"ViewApplications":             {pages: one, arguments: arguments{"after": ""}},
		"ViewCiPipelines":              {pages: one, arguments: arguments{"application": "ci-1"}},
		"ViewCdPipelines":              {pages: one},
		"ViewWaitingRuns":              {pages: all, arguments: joined(pipelineArrays(50), arguments{"most_each": "8"})},
		"ViewBuilds":                   {pages: 2 * one},
		"ViewBuildsOfPipelines":        {pages: all, arguments: arguments{"pipelines": "{ci-1,ci-2}"}},
		"ViewCiPipelinesOfApplication": {pages: one},
		"ViewCdPipelinesOfApplication": {pages: one},
		"ViewBuildRows":                {pages: all, arguments: buildsOf(runs)},
		"ViewArtifacts":                {pages: all, arguments: buildsOf(runs)},
		"ViewBuildUID":                 {pages: one},
		"ViewDecisions":                {pages: one},
		"ViewRunIDsOfBuild":            {pages: one},
		"ViewPipelineUID":              {pages: one},
		"ViewRunIDsOfPipeline":         {pages: 2 * one},
		"ViewRuns":                     {pages: all, arguments: runsOf("ids", runs)},
		"ViewStages":                   {pages: all, arguments: runsOf("run_ids", runs)},
		"ViewPending": {pages: h.tasks / 50, arguments: arguments{
			"after_kind": "cd", "after_cluster": "", "after_priority": "3", "after_fair_at": "2024-05-17", "after_id": "0",
		}},
		"ViewTasks":               {pages: h.tasks / 100, arguments: arguments{"status": "Running"}},
		"SummaryLanes":            {pages: h.tasks / 10},
		"SummaryHeld":             {pages: h.tasks / 20},
		"SummaryOldest":           {pages: h.tasks / 50},
		"SummaryActive":           {pages: h.tasks / 100},
		"SummaryRates":            {pages: 2 * all, arguments: arguments{"scan": "5000"}},
		"SummaryFailed":           {pages: all, arguments: arguments{"scan": "5000", "lately": "10 minutes"}},
		"SummaryTrend":            {pages: 2 * all, arguments: arguments{"scan": "5000", "buckets": "30", "longest": "3600"}},
		"ViewQueueCounts":         {pages: h.tasks / 10},
		"ViewEventsBefore":        {pages: 1000, arguments: arguments{"kind": "", "pipeline": "p-nowhere", "scan": "20000"}},
		"ViewEventScanEnd":        {pages: 1000, arguments: arguments{"skip": "19999"}},
		"ViewEventsOfBuildBefore": {pages: one, arguments: arguments{"kind": "", "pipeline": ""}},
		"ViewEventsOfBuildAfter":  {pages: one, arguments: arguments{"after_xid": "0", "run_id": "0"}},
		"ViewEventsAfter":         {pages: one},
	}
}

// One in ten tasks is a build's, and one in a thousand of them has not ended.
func built(h history) map[string]plan {
	old, held := h.builds(1, 100), h.builds(0, 10)
	turn := arguments{"pipeline_uid": "ci-1", "ref": "ref-1", "newest_at": "2024-05-17", "newest_seq": "1"}
	insert := arguments{"owner_name": "ci-1", "owner_uid": "ci-1", "identity": "new", "workflow_name": "new", "inputs": `{"build":"b","build_uid":"new","stage":"BUILD"}`}
	return map[string]plan{
		"LockBuildTurn":       {pages: one, arguments: turn},
		"RaiseBuildTurn":      {pages: one, arguments: turn},
		"InsertBuildTask":     {pages: one, arguments: insert},
		"BuildTasks":          {pages: one * 10, arguments: arguments{"build_uids": array(old, as("built-%d"))}},
		"OpenBuildTasks":      {pages: one * 5, arguments: arguments{"owner_uid": "ci-0", "ref": "main"}},
		"MoveHeldBuilds":      {pages: one * 5, arguments: joined(of(10, "statuses=Pending", "reasons=", "messages="), h.tasksOfBuilds(held))},
		"StopBuildTasks":      {pages: one * 5, arguments: h.tasksOfBuilds(held)},
		"AbandonedBuildTasks": {pages: one * 10},
		"EndedBuildTasks":     {pages: one * 10},
		"SettleBuildTasks":    {pages: one * 10, arguments: h.tasksOfBuilds(old)},
	}
}

// Base images are as many as there are objects.
func basedOn() map[string]plan {
	numbers := make([]int, 100)
	for i := range numbers {
		numbers[i] = i
	}
	images := of(100, "image_uids=i", "image_namespaces=ns-1", "names=debian", "images=debian:12", "repositories=debian", "tags=12", "digests=sha256:a",
		"previous_digests=", "befores=", "wanted_ats=2024-05-17", "settles=30 s")
	images["image_uids"] = array(numbers, as("i-%d"))
	wanted := arguments{"namespace": "ns-1", "repository": "debian", "tag": "12"}
	built := joined(of(100, "image_namespaces=ns-1", "ci_pipelines=ci-1", "spellings=debian docker.io/debian"), arguments{"places": array(numbers, as("%d"))})
	return map[string]plan{
		"MirrorBaseImages":      {pages: all, arguments: images},
		"BaseImageStates":       {pages: one, arguments: images},
		"RecordBaseImageChecks": {pages: 3 * one, arguments: images},
		"WantedBaseImages":      {pages: one},
		"WantBaseImageChecks":   {pages: one, arguments: wanted},
		"ForgetBaseImages":      {pages: one, arguments: arguments{"existing": images["image_uids"]}},
		"BuiltDigests":          {pages: 6 * all, arguments: built},
	}
}

// Twenty waves go on. Images have had a hundred each.
func waved() map[string]plan {
	one100 := arguments{"image_uid": "i-9", "number": "100"}
	items := of(10, "pipeline_uids=ci-9", "pipeline_namespaces=ns-9", "pipelines=ci-9", "build_names=b", "states=Failed", "messages=")
	numbers := make([]int, 100)
	for i := range numbers {
		numbers[i] = i
	}
	uids := array(numbers, as("i-%d"))
	names := joined(of(100, "image_namespaces=ns-1"), arguments{"names": array(numbers, as("debian-%d"))})
	return map[string]plan{
		"DueWaves":         {pages: one},
		"TakeWave":         {pages: one, arguments: arguments{"image_uid": "i-9", "digest": "sha256:b", "wave": "100", "has_items": "true"}},
		"EndOlderWaves":    {pages: 2 * one, arguments: joined(one100, arguments{"number": "101"})},
		"InsertWave":       {pages: one, arguments: arguments{"image_uid": "i-9", "number": "101", "digest": "sha256:c"}},
		"InsertWaveItems":  {pages: one, arguments: joined(of(1, "pipeline_uids=new", "pipeline_namespaces=ns-9", "pipelines=ci-9", "build_names=b", "states=Pending", "messages="), one100)},
		"OpenWaves":        {pages: 3 * one},
		"WaveItems":        {pages: one, arguments: one100},
		"FollowWaveBuilds": {pages: 2 * all},
		"MoveWaveItems":    {pages: one, arguments: joined(items, one100)},
		"MoveWave":         {pages: one, arguments: joined(one100, arguments{"state": "Failed", "was": "Running"})},
		"SkipWaveItems":    {pages: one, arguments: one100},
		"LockNewestWave":   {pages: one, arguments: one100},
		"ResumeWave":       {pages: one, arguments: joined(one100, arguments{"forgiven": "1"})},
		"NewestRebuilds":   {pages: all, arguments: arguments{"since": "2024-05-17", "patience": "10 minutes", "pipeline_uids": array(numbers[:20], as("ci-%d"))}},
		"NamedBaseImages":  {pages: 6 * one, arguments: names},
		"NewestWaves":      {pages: all, arguments: arguments{"image_uids": uids}},
	}
}

// wavesViewed is what penstock server shows of waves.
func wavesViewed() map[string]plan {
	shown := arguments{"image_uid": "i-1", "number": "1", "state": "", "name": "", "history": "true"}
	return map[string]plan{
		"ViewWaves":           {pages: 80 * one, arguments: joined(shown, arguments{"after_namespace": "", "after_name": "", "before_number": "0"})},
		"ViewWaveItems":       {pages: one, arguments: joined(shown, arguments{"after_namespace": "", "after_pipeline": "", "after_uid": ""})},
		"ViewWaveItemsHidden": {pages: one, arguments: shown},
	}
}

// elsewhere is about other clusters: all of it goes by an index that has nothing of home.
func elsewhere() map[string]plan {
	cluster := arguments{"cluster": "c-1", "cluster_uid": "uid-1"}
	return map[string]plan{
		"LockLaneTable":    {exempt: "it reads no table"},
		"Lane":             {pages: one, arguments: cluster},
		"LockLanes":        {pages: one},
		"SetLane":          {pages: one, arguments: cluster},
		"ShutLane":         {pages: one, arguments: cluster},
		"DropLane":         {pages: one, arguments: cluster},
		"Lanes":            {pages: one},
		"HasUnended":       {pages: one, arguments: cluster},
		"MoveTasks":        {pages: one, arguments: cluster},
		"EndStranded":      {pages: one, arguments: cluster},
		"StopDeleted":      {pages: one, arguments: cluster},
		"BusyClusters":     {pages: one},
		"WaitingInCluster": {pages: 3 * one, arguments: cluster},
	}
}
