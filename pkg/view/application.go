package view

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// maxDeployed is how many artifacts of a pipeline the trigger view names.
const maxDeployed = 16

// maxWaiting is how many waiting runs of a pipeline the trigger view names.
const maxWaiting = 8

// Applications returns up to limit applications of a namespace whose names come after one.
func (v *View) Applications(ctx context.Context, namespace, after string, limit int) ([]rest.Application, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewApplications(ctx, dbsqlc.ViewApplicationsParams{Namespace: namespace, After: after, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	applications := make([]rest.Application, len(rows))
	for i, row := range rows {
		applications[i] = rest.Application{
			Name: row.Application, CiPipelines: row.CiPipelines, CdPipelines: row.CdPipelines, Environments: row.Environments,
		}
	}
	return applications, nil
}

// CiHalf returns up to limit CiPipelines of an application, by name, with their newest builds.
func (v *View) CiHalf(ctx context.Context, namespace, application string, limit int) ([]rest.CiPipelineStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewCiPipelines(ctx, dbsqlc.ViewCiPipelinesParams{Namespace: namespace, Application: application, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("read CI pipelines of application %s: %w", application, err)
	}
	var uids []string
	for _, row := range rows {
		if row.BuildUid != "" {
			uids = append(uids, row.BuildUid)
		}
	}
	builds, err := v.builds(ctx, uids)
	if err != nil {
		return nil, err
	}
	byUID := map[string]*rest.Build{}
	for i := range builds {
		byUID[builds[i].UID] = &builds[i].Build
	}
	pipelines := make([]rest.CiPipelineStatus, len(rows))
	for i, row := range rows {
		pipelines[i] = rest.CiPipelineStatus{Name: row.Pipeline, Suspended: row.Suspended, LastBuild: byUID[row.BuildUid]}
	}
	return pipelines, nil
}

// CdHalf returns up to limit CdPipelines of an application, by name, with their newest
// runs and decisions and what they have deployed.
func (v *View) CdHalf(ctx context.Context, namespace, application string, limit int) ([]rest.CdPipelineStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewCdPipelines(ctx, dbsqlc.ViewCdPipelinesParams{Namespace: namespace, Application: application, Most: most(limit)})
	if err != nil {
		return nil, fmt.Errorf("read CD pipelines of application %s: %w", application, err)
	}
	uids := make([]string, len(rows))
	for i, row := range rows {
		uids[i] = row.PipelineUid
	}
	deployed, err := v.deployed(ctx, uids)
	if err != nil {
		return nil, err
	}
	decisions, err := v.lastDecisions(ctx, uids)
	if err != nil {
		return nil, err
	}
	waiting, err := v.waitingRuns(ctx, uids)
	if err != nil {
		return nil, err
	}
	pipelines := make([]rest.CdPipelineStatus, len(rows))
	for i, row := range rows {
		pipelines[i] = cdPipelineStatus(row)
		pipelines[i].Waiting = append([]rest.LastRun{}, waiting[row.PipelineUid]...)
		pipelines[i].LastDecision = decisions[row.PipelineUid]
		if pipelines[i].Deployed = deployed[row.PipelineUid]; pipelines[i].Deployed == nil {
			pipelines[i].Deployed = []rest.Deployment{}
		}
	}
	return pipelines, nil
}

func cdPipelineStatus(row dbsqlc.ViewCdPipelinesRow) rest.CdPipelineStatus {
	status := rest.CdPipelineStatus{
		Name: row.Pipeline, Environment: row.Environment, ParentKind: row.ParentKind, ParentName: row.ParentName,
		ConcurrencyPolicy: row.Policy, Suspended: row.Suspended, Held: row.Held,
	}
	if row.RunID == 0 {
		return status
	}
	status.LastRun = &rest.LastRun{
		ID: row.RunID, Build: row.BuildName, Image: row.Image, Digest: row.Digest, Outcome: row.Outcome,
		Cluster: row.Cluster, Stage: row.Stage, State: row.Status, Reason: row.Reason, Message: row.Message,
		CreatedAt: when(row.CreatedAt), ChangedAt: when(row.ChangedAt),
	}
	if row.SubmittedAt.Valid {
		status.LastRun.WorkflowName = row.WorkflowName
	}
	return status
}

func (v *View) waitingRuns(ctx context.Context, uids []string) (map[string][]rest.LastRun, error) {
	rows, err := v.queries.ViewWaitingRuns(ctx, dbsqlc.ViewWaitingRunsParams{PipelineUids: uids, MostEach: maxWaiting})
	if err != nil {
		return nil, fmt.Errorf("read what waits: %w", err)
	}
	waiting := map[string][]rest.LastRun{}
	for _, row := range rows {
		run := rest.LastRun{
			ID: row.RunID, Build: row.BuildName, Image: row.Image, Digest: row.Digest,
			Cluster: row.Cluster, Stage: row.Stage, State: row.Status, Reason: row.Reason, Message: row.Message,
			CreatedAt: when(row.CreatedAt), ChangedAt: when(row.ChangedAt),
		}
		if row.SubmittedAt.Valid {
			run.WorkflowName = row.WorkflowName
		}
		waiting[row.PipelineUid] = append(waiting[row.PipelineUid], run)
	}
	return waiting, nil
}

func (v *View) deployed(ctx context.Context, uids []string) (map[string][]rest.Deployment, error) {
	rows, err := v.queries.DeployedArtifacts(ctx, dbsqlc.DeployedArtifactsParams{PipelineUids: uids, MostEach: maxDeployed})
	if err != nil {
		return nil, fmt.Errorf("read what is deployed: %w", err)
	}
	deployed := map[string][]rest.Deployment{}
	for _, row := range rows {
		deployed[row.PipelineUid] = append(deployed[row.PipelineUid], rest.Deployment{
			Image: row.Image, Digest: row.Digest, Build: row.BuildName, At: when(row.At),
		})
	}
	return deployed, nil
}

func (v *View) lastDecisions(ctx context.Context, uids []string) (map[string]*rest.Decision, error) {
	rows, err := v.queries.LastDecisions(ctx, uids)
	if err != nil {
		return nil, fmt.Errorf("read last decisions: %w", err)
	}
	decisions := make(map[string]*rest.Decision, len(rows))
	for _, row := range rows {
		decisions[row.PipelineUid] = &rest.Decision{
			Build: row.BuildName, Outcome: row.Outcome, Reason: row.Reason, Message: row.Message, At: when(row.DecidedAt),
		}
	}
	return decisions, nil
}

// maxPipelines bounds the pipelines of one application that a filter by application
// follows.
const maxPipelines = 1000

// CdPipelineNames returns the names of an application's CdPipelines, sorted, at most 1,000.
func (v *View) CdPipelineNames(ctx context.Context, namespace, application string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	names, err := v.queries.ViewCdPipelinesOfApplication(ctx, dbsqlc.ViewCdPipelinesOfApplicationParams{
		Namespace: namespace, Application: application, Most: maxPipelines,
	})
	if err != nil {
		return nil, fmt.Errorf("list CD pipelines of application %s: %w", application, err)
	}
	return names, nil
}
