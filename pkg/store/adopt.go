package store

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Unknown returns those of the Workflows whose name no task has.
func (s *Store) Unknown(ctx context.Context, workflows []types.NamespacedName) ([]types.NamespacedName, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	params := dbsqlc.UnknownWorkflowsParams{Cluster: s.cluster}
	for _, workflow := range workflows {
		params.Namespaces, params.WorkflowNames = append(params.Namespaces, workflow.Namespace), append(params.WorkflowNames, workflow.Name)
	}
	rows, err := s.queries.UnknownWorkflows(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for workflows without a task: %w", err)
	}
	return convert(rows, func(row dbsqlc.UnknownWorkflowsRow) types.NamespacedName {
		return types.NamespacedName{Namespace: row.Namespace, Name: row.WorkflowName}
	}), nil
}

// Adoption is a Workflow of ours that runs, and of which the tables know nothing.
type Adoption struct {
	Build    trigger.Build
	Pipeline *v1alpha1.CdPipeline
	// Artifact is the run's, or the first where it was given all.
	Artifact v1alpha1.Artifact
	Identity trigger.Identity
	// Cluster is where the Workflow is; empty at home.
	Cluster string
}

const (
	// adoptedRequest gives adopted runs of a build a turn of their own: they may lack stages.
	adoptedRequest = "adopted"
	// adoptedDelay keeps the task from being claimed before its Workflow is observed.
	adoptedDelay = time.Hour
	// adoptedActor is who does it.
	adoptedActor = "Penstock"
)

// Adopt commits a run for the Workflow, at its stage, with those that come after. Nothing
// goes on to the pipelines below: what has become of them is not known. It returns false
// where the run exists.
func (s *Store) Adopt(ctx context.Context, adoption Adoption) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	adopted := false
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) (err error) {
		adoption.Cluster = s.cluster
		a := adopting{Adoption: adoption, queries: queries}
		adopted, err = a.commit(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("adopt workflow: %w", err)
	}
	return adopted, nil
}

// adopting is one transaction that adopts a Workflow.
type adopting struct {
	Adoption
	queries *dbsqlc.Queries
}

func (a *adopting) commit(ctx context.Context) (bool, error) {
	if err := a.queries.EnsureBuild(ctx, dbsqlc.EnsureBuildParams(planBuildParams(a.Build))); err != nil {
		return false, fmt.Errorf("note build: %w", err)
	}
	if err := a.queries.InsertArtifacts(ctx, insertArtifacts(a.Build.UID, []v1alpha1.Artifact{a.Artifact})); err != nil {
		return false, fmt.Errorf("note artifact: %w", err)
	}
	turn, overtaken, err := a.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	run, err := a.insertRun(ctx, turn)
	if err != nil || run == 0 {
		return false, err
	}
	if overtaken {
		if err := a.queries.SetOvertaken(ctx, run); err != nil {
			return false, fmt.Errorf("note that a newer build went first: %w", err)
		}
	}
	if err := a.insertStages(ctx, run); err != nil {
		return false, err
	}
	decision := trigger.Decision{
		Artifact: a.Artifact, Pipeline: a.Pipeline, Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonAdopted,
		Message: "its Workflow ran when the database knew nothing of it",
	}
	return true, a.queries.InsertDecisions(ctx, insertDecisions(a.Build, []trigger.Decision{decision}, adoptedActor, ""))
}

// takeTurn returns the run's turn, and whether another build has it, or a newer one had it.
func (a *adopting) takeTurn(ctx context.Context) (turn int64, overtaken bool, err error) {
	ref := pipelineRef(a.Pipeline)
	o, err := lockPipelines(ctx, a.queries, []PipelineRef{ref}, a.Build.UID)
	if err != nil {
		return 0, false, err
	}
	places, err := a.queries.BuildPlaces(ctx, []string{a.Build.UID})
	if err != nil || len(places) == 0 {
		return 0, false, fmt.Errorf("read place of build: %w", err)
	}
	own := trigger.Turn{Build: a.Build.Name, Place: placeOf(places[0].CreatedAt, places[0].Seq)}
	var others []trigger.Turn
	for _, live := range o.pipelines[ref.UID].turns {
		if live.buildUID == a.Build.UID && live.request == adoptedRequest && live.State == trigger.TurnActive {
			return live.id, false, nil
		}
		others = append(others, live.Turn)
	}
	state := trigger.TurnActive
	if !trigger.Retakes(ref.Policy, o.pipelines[ref.UID].newest, own, others) {
		state, overtaken = trigger.TurnEnded, true
	}
	rows, err := a.queries.InsertTurns(ctx, dbsqlc.InsertTurnsParams{
		BuildUid: a.Build.UID, Request: adoptedRequest, PipelineUids: []string{ref.UID}, States: []string{string(state)},
	})
	if err != nil {
		return 0, false, fmt.Errorf("insert turn: %w", err)
	}
	if overtaken {
		return rows[0].ID, true, nil
	}
	return rows[0].ID, false, a.queries.RaiseNewest(ctx, []int64{rows[0].ID})
}

// insertRun returns 0 where the run exists.
func (a *adopting) insertRun(ctx context.Context, turn int64) (int64, error) {
	ids, err := artifactIDs(ctx, a.queries, a.Build.UID)
	if err != nil {
		return 0, err
	}
	mode := v1alpha1.ArtifactsEach
	if a.Identity.Image == "" {
		mode = v1alpha1.ArtifactsAll
	}
	rows, err := a.queries.InsertRuns(ctx, dbsqlc.InsertRunsParams{
		BuildUid: a.Build.UID, Namespace: a.Build.Namespace, Cause: a.Build.Cause, Actor: adoptedActor,
		CiArtifactIds: []int64{ids[a.Artifact]}, TurnIds: []int64{turn}, Pipelines: []string{a.Pipeline.Name}, PipelineUids: []string{string(a.Pipeline.UID)},
		Runs: []int32{a.Identity.Run}, Artifacts: []string{string(mode)}, Also: []string{"[]"},
	})
	if err != nil {
		return 0, fmt.Errorf("insert run: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	point := dbsqlc.PointToRunsParams{PipelineUids: []string{string(a.Pipeline.UID)}, RunIds: []int64{rows[0].ID}}
	return rows[0].ID, a.queries.PointToRuns(ctx, point)
}

// insertStages adds the stage of the Workflow, and those behind it.
func (a *adopting) insertStages(ctx context.Context, run int64) error {
	all := trigger.Stages(a.Pipeline, a.Identity.Stage)
	if len(all) == 0 {
		all = []trigger.Stage{a.Identity.Stage} // which the pipeline has no more
	}
	tasks := newTasks(adoptedActor)
	stages := dbsqlc.InsertStagesParams{Namespace: a.Build.Namespace}
	var identities []string
	for i, stage := range all {
		task := stageTask{
			pipeline: pipelineRef(a.Pipeline), buildUID: a.Build.UID, number: a.Identity.Run, attempt: 1, priority: a.Pipeline.Spec.Priority,
			status: StatusHeld, hold: trigger.StageBeforeHold,
			inputs: trigger.Inputs{
				Build: a.Build.Name, Revision: a.Build.Revision, Image: a.Artifact.Image, Digest: a.Artifact.Digest,
				Stage: stage, Run: run, Cluster: a.Cluster, All: a.Identity.Image == "",
			},
		}
		if i == 0 {
			task.status, task.hold, task.attempt, task.delay = StatusPending, trigger.Hold{Reason: v1alpha1.ReasonAdopted}, a.Identity.Attempt, adoptedDelay
		}
		identities = append(identities, tasks.add(task))
		stages.CdWorkflowIds, stages.Stages = append(stages.CdWorkflowIds, run), append(stages.Stages, string(stage))
	}
	ids, err := tasks.insert(ctx, a.queries)
	if err != nil {
		return err
	}
	stages.TaskIds = convert(identities, func(identity string) int64 { return ids[identity] })
	if err := a.queries.InsertStages(ctx, stages); err != nil {
		return fmt.Errorf("insert stages: %w", err)
	}
	return a.queries.SetStageAttempt(ctx, dbsqlc.SetStageAttemptParams{RunID: run, Stage: string(a.Identity.Stage), Attempt: a.Identity.Attempt})
}
