package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// QueuedBuild is a build that is to run here.
type QueuedBuild struct {
	Build trigger.Build
	// Pipeline is its CiPipeline.
	Pipeline PipelineRef
	// Priority is its place in the queue: higher goes first.
	Priority int32
	// Cluster is where it runs; empty at home.
	Cluster string
}

// QueueBuilds commits the tasks of builds of one pipeline and ref, each once, and gives the
// turns among them. Builds that are known together are to be queued together: one that comes
// after a newer one has no turn any more. templateExists lets builds go on that wait for the
// pipeline's template.
func (s *Store) QueueBuilds(ctx context.Context, queued []QueuedBuild, templateExists bool) error {
	if len(queued) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		for _, one := range queued {
			if err := queries.EnsureBuild(ctx, dbsqlc.EnsureBuildParams(planBuildParams(one.Build))); err != nil {
				return fmt.Errorf("note build: %w", err)
			}
		}
		turns, err := lockBuildTurns(ctx, queries, queued[0].Pipeline, queued[0].Build.Ref)
		if err != nil {
			return err
		}
		for _, one := range queued {
			if err := insertBuildTask(ctx, queries, one); err != nil {
				return err
			}
		}
		if err := turns.give(ctx, templateExists); err != nil {
			return err
		}
		return failpoint.Error(failpoint.BuildBeforeCommit)
	})
	if err != nil {
		return fmt.Errorf("queue builds of %s: %w", queued[0].Pipeline.Name, err)
	}
	return nil
}

// BuildIdentity is that of the Workflow of a build.
func BuildIdentity(buildUID, pipelineUID string) trigger.Identity {
	return trigger.Identity{BuildUID: buildUID, PipelineUID: pipelineUID, Run: 1, Stage: trigger.StageBuild}
}

func insertBuildTask(ctx context.Context, queries *dbsqlc.Queries, queued QueuedBuild) error {
	identity := BuildIdentity(queued.Build.UID, queued.Pipeline.UID)
	inputs, err := json.Marshal(trigger.Inputs{
		Build: queued.Build.Name, BuildUID: queued.Build.UID, Revision: clean(queued.Build.Revision), Ref: clean(queued.Build.Ref), Stage: trigger.StageBuild, Cluster: queued.Cluster,
	})
	if err != nil {
		return fmt.Errorf("encode inputs: %w", err)
	}
	_, err = queries.InsertBuildTask(ctx, dbsqlc.InsertBuildTaskParams{
		Namespace: queued.Build.Namespace, OwnerName: queued.Pipeline.Name, OwnerUid: queued.Pipeline.UID,
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName(queued.Pipeline.Name, identity),
		Inputs: string(inputs), Priority: queued.Priority,
	})
	if err != nil {
		return fmt.Errorf("insert task: %w", err)
	}
	return nil
}

// deletedBuild is how a build has ended whose CiBuild was deleted; else it is its phase.
const deletedBuild = "Deleted"

// StopAbandonedBuilds ends what is under way of builds whose CiBuild was deleted, or was ended by
// somebody who wrote its status, and returns how many.
func (s *Store) StopAbandonedBuilds(ctx context.Context, most int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.AbandonedBuildTasks(ctx, dbsqlc.AbandonedBuildTasksParams{Namespaces: s.namespaces, Most: int32(most)}) //nolint:gosec // most is a batch size
	if err != nil {
		return 0, fmt.Errorf("list tasks of abandoned builds: %w", err)
	}
	ids := map[string][]int64{} // by how the CiBuild ended
	for _, row := range rows {
		ids[row.Ended] = append(ids[row.Ended], row.ID)
	}
	var stopped int64
	for ended, some := range ids {
		params := dbsqlc.StopBuildTasksParams{Ids: some, Reason: string(v1alpha1.ReasonBuildDeleted), Message: "the CiBuild was deleted"}
		if ended != deletedBuild {
			params.Reason, params.Message = string(v1alpha1.ReasonBuildEnded), fmt.Sprintf("the status of the CiBuild says already that it ended as %s", ended)
		}
		n, err := s.queries.StopBuildTasks(ctx, params)
		if err != nil {
			return stopped, fmt.Errorf("stop tasks of abandoned builds: %w", err)
		}
		stopped += n
	}
	return stopped, nil
}

// CancelBuild ends a build because a request asks for it: what waits is cancelled now, what is
// active is stopped.
func (s *Store) CancelBuild(ctx context.Context, request Request, buildUID string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		tasks, err := queries.BuildTasks(ctx, []string{buildUID})
		if err != nil {
			return Answer{}, fmt.Errorf("look for the task of the build: %w", err)
		}
		if len(tasks) == 0 {
			return Answer{}, refuse("CiBuild %s does not run here: end it where it runs", request.BuildName)
		}
		message := "cancelled by " + request.Actor
		if request.Reason != "" {
			message += ": " + request.Reason
		}
		stopped, err := queries.StopBuildTasks(ctx, dbsqlc.StopBuildTasksParams{
			Ids: []int64{tasks[0].ID}, Reason: string(v1alpha1.ReasonCancelled), Message: clean(message), Actor: clean(request.Actor), ActorReason: clean(request.Reason),
		})
		if err != nil {
			return Answer{}, fmt.Errorf("stop task of build: %w", err)
		}
		if stopped == 0 {
			return Answer{}, refuse("there is nothing to cancel: CiBuild %s has ended, or is being stopped", request.BuildName)
		}
		return Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("build %s is cancelled", request.BuildName)}, nil
	})
}
