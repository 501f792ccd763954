package report

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// reportPipelines reads the pipelines and their newest rows, and returns the
// writes that are due.
func (r *Reporter) reportPipelines(ctx context.Context, keys []types.NamespacedName) ([]write, error) {
	pipelines, uids, err := r.livePipelines(ctx, keys)
	if err != nil || len(pipelines) == 0 {
		return nil, err
	}
	runs, err := r.Rows.LastRuns(ctx, uids)
	if err != nil {
		return nil, err
	}
	deployed, err := r.Rows.Deployed(ctx, uids)
	if err != nil {
		return nil, err
	}
	decisions, err := r.Rows.LastDecisions(ctx, uids)
	if err != nil {
		return nil, err
	}
	for uid, run := range runs {
		runs[uid] = r.explainRun(uid, run, pipelines)
	}
	var writes []write
	for i, pipeline := range pipelines {
		changed := pipeline.DeepCopy()
		readiness, err := r.readiness(ctx, pipeline)
		if err != nil {
			return nil, err
		}
		changed.Status = pipelineStatus(pipeline, readiness, facts{
			run: find(runs, uids[i]), decision: find(decisions, uids[i]), deployed: deployed[uids[i]],
			heldBack: r.heldBackText(find(runs, uids[i])),
		})
		key := types.NamespacedName{Namespace: pipeline.Namespace, Name: pipeline.Name}
		if !r.pipelines.cuts.fit(key, pipeline.ResourceVersion, changed.Status.Conditions, &changed.Status.Deployed) {
			continue
		}
		if equality.Semantic.DeepEqual(pipeline.Status, changed.Status) {
			continue
		}
		writes = append(writes, write{
			key: key, original: pipeline, changed: changed,
			news: pipelineNews(pipeline.Status, changed.Status),
		})
	}
	return writes, nil
}

// livePipelines returns those of the pipelines that exist, and their UIDs.
func (r *Reporter) livePipelines(ctx context.Context, keys []types.NamespacedName) ([]*v1alpha1.CdPipeline, []string, error) {
	var pipelines []*v1alpha1.CdPipeline
	var uids []string
	for _, key := range keys {
		pipeline := &v1alpha1.CdPipeline{}
		err := r.Cache.Get(ctx, key, pipeline)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("get CdPipeline: %w", err)
		}
		pipelines, uids = append(pipelines, pipeline), append(uids, string(pipeline.UID))
	}
	return pipelines, uids, nil
}

// facts are what the rows say of a pipeline; nil where they say nothing.
type facts struct {
	run      *store.LastRun
	decision *store.LastDecision
	deployed []v1alpha1.Deployed
	// heldBack is what the run waits for at the backlog gate; empty where it does not.
	heldBack string
}

// delayed tells whether what was triggered last waits because Workflows are refused.
func (f facts) delayed() bool {
	return f.run != nil && f.run.Status == store.StatusPending && f.run.DelayedBy != "" && f.decision != nil && f.run.BuildName == f.decision.BuildName
}

// held tells whether what was triggered last waits for something else than a slot, or for an
// Argo controller.
func (f facts) held() bool {
	waits := f.run != nil && (f.run.Status == store.StatusHeld || f.run.Status == store.StatusSubmitted && f.run.Reason == v1alpha1.ReasonNotTakenUp)
	return waits && f.decision != nil && f.run.BuildName == f.decision.BuildName
}

func pipelineStatus(pipeline *v1alpha1.CdPipeline, ready trigger.Readiness, rows facts) v1alpha1.CdPipelineStatus {
	status := *pipeline.Status.DeepCopy()
	status.ObservedGeneration = pipeline.Generation
	set := func(kind string, isTrue bool, reason v1alpha1.Reason, message string) {
		condition := metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, ObservedGeneration: pipeline.Generation,
			Reason: string(reason), Message: message,
		}
		if isTrue {
			condition.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	set(v1alpha1.ConditionReady, ready.Ready, ready.Reason, ready.Message)
	switch decision := rows.decision; {
	case rows.delayed():
		set(v1alpha1.ConditionTriggered, false, rows.run.DelayedBy,
			fmt.Sprintf("build %s: stage %s of run %d waits: %s", rows.run.BuildName, rows.run.Stage, rows.run.Run, rows.run.Message))
	case rows.held():
		set(v1alpha1.ConditionTriggered, false, rows.run.Reason,
			fmt.Sprintf("build %s: stage %s of run %d waits: %s", rows.run.BuildName, rows.run.Stage, rows.run.Run, rows.run.Message))
	case rows.heldBack != "" && decision != nil && rows.run.BuildName == decision.BuildName:
		set(v1alpha1.ConditionTriggered, false, v1alpha1.ReasonBacklogFull,
			fmt.Sprintf("build %s: stage %s of run %d waits for %s", rows.run.BuildName, rows.run.Stage, rows.run.Run, rows.heldBack))
	case rows.queued():
		reason, message := rows.queuedReason()
		set(v1alpha1.ConditionTriggered, false, reason, message)
	case decision != nil:
		set(v1alpha1.ConditionTriggered, decision.Outcome == v1alpha1.OutcomeTriggered, decision.Reason, decisionText(decision))
	}
	if rows.run != nil {
		status.LastRun = lastRun(rows.run)
	}
	if rows.deployed != nil {
		status.Deployed = rows.deployed
	}
	return status
}

// decisionText says what was decided for a build, whose name is in the message where it
// triggered the pipeline.
func decisionText(decision *store.LastDecision) string {
	if decision.Reason == v1alpha1.ReasonTriggered {
		return "triggered " + decision.Message
	}
	return fmt.Sprintf("build %s: %s", decision.BuildName, decision.Message)
}

func lastRun(run *store.LastRun) *v1alpha1.LastRun {
	message := explain.End(string(run.Status), run.Reason, run.Message)
	last := &v1alpha1.LastRun{
		Run: run.Run, BuildName: run.BuildName, Image: run.Image, Digest: run.Digest,
		Stage: string(run.Stage), Phase: string(run.Status), Message: message,
		// The API server keeps whole seconds.
		At: metav1.Unix(run.At.Unix(), 0),
	}
	if run.HasWorkflow {
		last.WorkflowName = run.WorkflowName
	}
	return last
}

func find[T any](byUID map[string]T, uid string) *T {
	if found, ok := byUID[uid]; ok {
		return &found
	}
	return nil
}
