package store

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Summary is what came of one build.
type Summary struct {
	BuildUID string
	// Triggers counts runs; Triggered is how many of them have or had a Workflow.
	Triggers  v1alpha1.TriggerSummary
	Triggered int32
	// Decisions are counted by outcome and reason, Waiting first: each pipeline once.
	Decisions []DecisionCount
	// Failures are the first few runs that ended badly.
	Failures []Failure
	// Held are the runs that wait for something else than a slot, counted by reason.
	Held []HeldCount
	// Delayed are those of the pending runs that wait because Workflows were refused, or
	// because their namespace has its share, counted by reason.
	Delayed []DelayedCount
}

// DelayedCount is how many pending runs of one build are delayed for one reason.
type DelayedCount struct {
	Namespace string
	// Cluster is where they are to run; empty at home.
	Cluster string
	Reason  v1alpha1.Reason
	Count   int64
	// Examples are up to five names of pipelines.
	Examples []string
	// Message is that of the last refusal, Attempts the most that one of the runs has had,
	// Next when the first of them is tried again; zero where the rows say nothing.
	Message  string
	Attempts int
	Next     time.Time
}

// HeldCount is how many runs of one build are held by one reason.
type HeldCount struct {
	Reason v1alpha1.Reason
	Count  int64
	// Examples are up to five names of pipelines.
	Examples []string
	// Next is when the first of those is tried again that ReasonRetry delays; zero for others.
	Next time.Time
}

// DecisionCount is how often something was decided below one build.
type DecisionCount struct {
	Outcome v1alpha1.Outcome
	Reason  v1alpha1.Reason
	Count   int64
	// Examples are up to five names of pipelines.
	Examples []string
}

// Failure is a stage that ended badly.
type Failure struct {
	Pipeline string
	Stage    trigger.Stage
	Status   Status
	Reason   v1alpha1.Reason
	Message  string
}

// maxFailures is how many failures of a build a summary names.
const maxFailures = 10

// Summaries returns what came of the builds, by UID, in five statements at most. A build
// that is not planned is not among them.
func (s *Store) Summaries(ctx context.Context, buildUIDs []string) (map[string]*Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	counts, err := s.queries.BuildSummaries(ctx, buildUIDs)
	if err != nil {
		return nil, fmt.Errorf("summarise builds: %w", err)
	}
	summaries := make(map[string]*Summary, len(counts))
	for _, row := range counts {
		summaries[row.BuildUid] = &Summary{BuildUID: row.BuildUid, Triggers: triggerSummary(row), Triggered: int32(row.Triggered)} //nolint:gosec // a count of runs
	}
	if err := s.addDecisions(ctx, buildUIDs, summaries); err != nil {
		return nil, err
	}
	if err := s.addFailures(ctx, buildUIDs, summaries); err != nil {
		return nil, err
	}
	if err := s.addHeld(ctx, buildUIDs, summaries); err != nil {
		return nil, err
	}
	return summaries, s.addDelayed(ctx, summaries)
}

//nolint:gosec // counts of runs, far below 2³¹
func triggerSummary(row dbsqlc.BuildSummariesRow) v1alpha1.TriggerSummary {
	return v1alpha1.TriggerSummary{
		Total: int32(row.Total), Pending: int32(row.Pending), Held: int32(row.Held), Submitted: int32(row.Submitted),
		Running: int32(row.Running), Succeeded: int32(row.Succeeded), Failed: int32(row.Failed),
		Cancelled: int32(row.Cancelled), Superseded: int32(row.Superseded),
		Waiting: int32(row.Pending + row.Held), Active: int32(row.Submitted + row.Running),
		Skipped: int32(row.Skipped), Progress: fmt.Sprintf("%d/%d", row.Triggered, row.Total),
	}
}

func (s *Store) addDecisions(ctx context.Context, buildUIDs []string, summaries map[string]*Summary) error {
	rows, err := s.queries.BuildDecisions(ctx, buildUIDs)
	if err != nil {
		return fmt.Errorf("count decisions: %w", err)
	}
	for _, row := range rows {
		if summary := summaries[row.BuildUid]; summary != nil {
			summary.Decisions = append(summary.Decisions, DecisionCount{
				Outcome: v1alpha1.Outcome(row.Outcome), Reason: v1alpha1.Reason(row.Reason),
				Count: row.Pipelines, Examples: row.Examples,
			})
		}
	}
	return nil
}

func (s *Store) addFailures(ctx context.Context, buildUIDs []string, summaries map[string]*Summary) error {
	rows, err := s.queries.FailedRuns(ctx, dbsqlc.FailedRunsParams{BuildUids: buildUIDs, MostEach: maxFailures})
	if err != nil {
		return fmt.Errorf("list failed runs: %w", err)
	}
	for _, row := range rows {
		if summary := summaries[row.BuildUid]; summary != nil {
			summary.Failures = append(summary.Failures, Failure{
				Pipeline: row.Pipeline, Stage: trigger.Stage(row.Stage), Status: Status(row.Status),
				Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
			})
		}
	}
	return nil
}

func (s *Store) addHeld(ctx context.Context, buildUIDs []string, summaries map[string]*Summary) error {
	rows, err := s.queries.HeldRuns(ctx, buildUIDs)
	if err != nil {
		return fmt.Errorf("count held runs: %w", err)
	}
	for _, row := range rows {
		if summary := summaries[row.BuildUid]; summary != nil {
			summary.Held = append(summary.Held, HeldCount{Reason: v1alpha1.Reason(row.Reason), Count: row.Runs, Examples: row.Examples, Next: since(row.NextAt.Time)})
		}
	}
	return nil
}

// addDelayed asks only of builds that have pending runs.
func (s *Store) addDelayed(ctx context.Context, summaries map[string]*Summary) error {
	var pending []string
	for uid, summary := range summaries {
		if summary.Triggers.Pending > 0 {
			pending = append(pending, uid)
		}
	}
	if len(pending) == 0 {
		return nil
	}
	rows, err := s.queries.DelayedRuns(ctx, pending)
	if err != nil {
		return fmt.Errorf("count delayed runs: %w", err)
	}
	for _, row := range rows {
		delayed := DelayedCount{
			Namespace: row.Namespace, Cluster: row.Cluster, Reason: v1alpha1.Reason(row.Reason), Count: row.Runs, Examples: row.Examples,
			Message: row.Message, Attempts: int(row.Failures), Next: since(row.NextAt.Time),
		}
		if row.ShutReason != "" {
			lane := ClusterLane{Cluster: row.Cluster, Reason: v1alpha1.Reason(row.ShutReason), Message: row.ShutMessage, Since: row.ShutSince.Time}
			delayed.Message, delayed.Attempts, delayed.Next = lane.Text(), 0, time.Time{}
		}
		summaries[row.BuildUid].Delayed = append(summaries[row.BuildUid].Delayed, delayed)
	}
	return nil
}

// since is zero for the epoch, which stands for no time.
func since(at time.Time) time.Time {
	if at.Unix() <= 0 {
		return time.Time{}
	}
	return at
}

// LastRun is the newest stage of the newest run of a pipeline.
type LastRun struct {
	// Run is the run's number.
	Run          int64
	BuildName    string
	Image        string
	Digest       string
	Stage        trigger.Stage
	Status       Status
	Reason       v1alpha1.Reason
	Message      string
	WorkflowName string
	// HasWorkflow tells whether the Workflow exists or has existed.
	HasWorkflow bool
	At          time.Time
	// DelayedBy is why a Pending stage is set aside; empty where it is not. Attempts is how
	// often its Workflow was refused, Next when it is tried again by itself.
	DelayedBy v1alpha1.Reason
	Attempts  int
	Next      time.Time
	// StageAttempt is which attempt of the stage it is, counted from 1: there are more where
	// the stage has retries. AttemptBefore is how the one before ended; empty for the first.
	StageAttempt  int32
	AttemptBefore string
	// Cluster is where the run's Workflows are; empty at home.
	Cluster string
	// TurnOf is the build that has its turn, while the stage waits for that of its own.
	TurnOf string
}

// LastDecision is what was decided for a pipeline at the last finished build.
type LastDecision struct {
	BuildName string
	Outcome   v1alpha1.Outcome
	Reason    v1alpha1.Reason
	Message   string
	At        time.Time
}

// LastRuns returns the newest run of each pipeline that has one, by UID.
func (s *Store) LastRuns(ctx context.Context, pipelineUIDs []string) (map[string]LastRun, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.LastRuns(ctx, pipelineUIDs)
	if err != nil {
		return nil, fmt.Errorf("read last runs: %w", err)
	}
	runs := make(map[string]LastRun, len(rows))
	for _, row := range rows {
		runs[row.PipelineUid] = lastRunOf(row)
	}
	return runs, nil
}

func lastRunOf(row dbsqlc.LastRunsRow) LastRun {
	run := LastRun{
		Run: row.RunID, BuildName: row.BuildName, Image: row.Image, Digest: row.Digest,
		Stage: trigger.Stage(row.Stage), Status: Status(row.Status),
		Reason: v1alpha1.Reason(row.Reason), Message: row.Message,
		WorkflowName: row.WorkflowName, HasWorkflow: row.SubmittedAt.Valid, At: row.ChangedAt.Time,
		DelayedBy: v1alpha1.Reason(row.DelayedBy), Attempts: int(row.Failures), Next: since(row.AvailableAt.Time),
		StageAttempt: row.StageAttempt, AttemptBefore: row.AttemptBefore, TurnOf: row.TurnOf, Cluster: row.Cluster,
	}
	if row.ShutReason != "" && run.Status == StatusPending {
		lane := ClusterLane{Cluster: row.Cluster, Reason: v1alpha1.Reason(row.ShutReason), Message: row.ShutMessage, Since: row.ShutSince.Time}
		run.DelayedBy, run.Message, run.Attempts, run.Next = v1alpha1.ReasonLaneShut, lane.Text(), 0, time.Time{}
	}
	return run
}

// maxDeployed is how many artifacts of a pipeline Deployed returns.
const maxDeployed = 64

// Deployed returns what is deployed by each pipeline, by UID: of each repository the last
// artifact whose DEPLOY succeeded, the newest first, at most 64.
func (s *Store) Deployed(ctx context.Context, pipelineUIDs []string) (map[string][]v1alpha1.Deployed, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.DeployedArtifacts(ctx, dbsqlc.DeployedArtifactsParams{PipelineUids: pipelineUIDs, MostEach: maxDeployed})
	if err != nil {
		return nil, fmt.Errorf("read what is deployed: %w", err)
	}
	deployed := map[string][]v1alpha1.Deployed{}
	for _, row := range rows {
		deployed[row.PipelineUid] = append(deployed[row.PipelineUid], v1alpha1.Deployed{
			Image: row.Image, Digest: row.Digest, BuildName: row.BuildName,
			// The API server keeps whole seconds.
			At: metav1.Unix(row.At.Time.Unix(), 0),
		})
	}
	return deployed, nil
}

// LastDecisions returns the newest decision on each pipeline that has one, by UID.
func (s *Store) LastDecisions(ctx context.Context, pipelineUIDs []string) (map[string]LastDecision, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.LastDecisions(ctx, pipelineUIDs)
	if err != nil {
		return nil, fmt.Errorf("read last decisions: %w", err)
	}
	decisions := make(map[string]LastDecision, len(rows))
	for _, row := range rows {
		decisions[row.PipelineUid] = LastDecision{
			BuildName: row.BuildName, Outcome: v1alpha1.Outcome(row.Outcome),
			Reason: v1alpha1.Reason(row.Reason), Message: row.Message, At: row.DecidedAt.Time,
		}
	}
	return decisions, nil
}

// waitingHead is how many rows of the queue WaitingBuilds looks at.
const waitingHead = 1000

// WaitingBuilds returns the builds that the first rows of the queue belong to.
func (s *Store) WaitingBuilds(ctx context.Context) ([]types.NamespacedName, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.WaitingBuilds(ctx, dbsqlc.WaitingBuildsParams{Head: waitingHead, Namespaces: s.namespaces})
	if err != nil {
		return nil, fmt.Errorf("find waiting builds: %w", err)
	}
	return convert(rows, func(row dbsqlc.WaitingBuildsRow) types.NamespacedName {
		return types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}
	}), nil
}

// heldBackPipelines is how many rows of the queue HeldBackPipelines looks at: a status is
// written for each.
const heldBackPipelines = 200

// HeldBackPipelines returns the pipelines that the first rows of the queue belong to.
func (s *Store) HeldBackPipelines(ctx context.Context) ([]types.NamespacedName, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.HeldBackPipelines(ctx, dbsqlc.HeldBackPipelinesParams{Head: heldBackPipelines, Namespaces: s.namespaces})
	if err != nil {
		return nil, fmt.Errorf("find waiting pipelines: %w", err)
	}
	return convert(rows, func(row dbsqlc.HeldBackPipelinesRow) types.NamespacedName {
		return types.NamespacedName{Namespace: row.Namespace, Name: row.OwnerName}
	}), nil
}
