package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	ready    = trigger.Readiness{Ready: true, Reason: v1alpha1.ReasonReady, Message: "triggered by builds of CiPipeline ci"}
	orphaned = trigger.Readiness{Reason: v1alpha1.ReasonParentNotFound, Message: `CiPipeline "ci" does not exist`}
)

func web() *v1alpha1.CdPipeline {
	return given.CdPipeline("web", func(p *v1alpha1.CdPipeline) { p.Generation = 1 })
}

// ran is a run of DEPLOY whose Workflow exists or has existed.
func ran(status store.Status, change ...func(*store.LastRun)) *store.LastRun {
	run := &store.LastRun{
		BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: trigger.StageDeploy, Status: status,
		WorkflowName: "web-deploy-1", HasWorkflow: true, At: time.Unix(1000, 999),
	}
	for _, with := range change {
		with(run)
	}
	return run
}

func TestWhatAPipelinesStatusTells(t *testing.T) {
	t.Parallel()
	skipped := &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeSkipped, Reason: v1alpha1.ReasonSuspended, Message: "spec.suspend is true"}
	triggered := &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	at := metav1.Unix(1000, 0)
	for sentence, tc := range map[string]struct {
		ready     trigger.Readiness
		run       *store.LastRun
		decision  *store.LastDecision
		wantReady string
		triggered string
		lastRun   *v1alpha1.LastRun
	}{
		"a new pipeline is ready and was never triggered": {
			ready, nil, nil, "True Ready: triggered by builds of CiPipeline ci", "", nil,
		},
		"a pipeline without its parent is not ready": {
			orphaned, nil, nil, `False ParentNotFound: CiPipeline "ci" does not exist`, "", nil,
		},
		"a pipeline that was skipped knows for which build and why": {
			ready, nil, skipped, "True Ready: triggered by builds of CiPipeline ci",
			"False Suspended: build b1: spec.suspend is true", nil,
		},
		"a pipeline that was triggered shows its run": {
			ready, ran(store.StatusRunning), triggered, "True Ready: triggered by builds of CiPipeline ci",
			"True Triggered: build b1: by build b1",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Running",
				WorkflowName: "web-deploy-1", At: at,
			},
		},
		"a run that has no Workflow yet names none": {
			ready, ran(store.StatusPending, func(r *store.LastRun) { r.HasWorkflow = false }), triggered,
			"True Ready: triggered by builds of CiPipeline ci", "True Triggered: build b1: by build b1",
			&v1alpha1.LastRun{BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Pending", At: at},
		},
		"a run that ended badly says why": {
			ready,
			ran(store.StatusError, func(r *store.LastRun) {
				r.HasWorkflow, r.Reason, r.Message = false, v1alpha1.ReasonTemplateNotFound, "no such template"
			}),
			nil, "True Ready: triggered by builds of CiPipeline ci", "",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Error",
				Message: "TemplateNotFound: no such template", At: at,
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			status := pipelineStatus(web(), tc.ready, tc.run, tc.decision)
			require.Equal(t, tc.wantReady, line(status.Conditions, v1alpha1.ConditionReady))
			require.Equal(t, tc.triggered, line(status.Conditions, v1alpha1.ConditionTriggered))
			require.Equal(t, tc.lastRun, status.LastRun)
			requireObserved(t, status.Conditions, status.ObservedGeneration)
		})
	}
}

func TestAPipelinesStatusChangesOnlyWithWhatItTells(t *testing.T) {
	t.Parallel()
	decision := &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	pipeline := web()
	before := pipeline.DeepCopy()
	first := pipelineStatus(pipeline, ready, ran(store.StatusRunning), decision)
	require.Equal(t, before, pipeline, "the object of the cache was changed")

	pipeline.Status = first
	// The API server keeps whole seconds, the database keeps more.
	later := ran(store.StatusRunning, func(r *store.LastRun) { r.At = time.Unix(1000, 123456) })
	require.True(t, equality.Semantic.DeepEqual(first, pipelineStatus(pipeline, ready, later, decision)))
	require.False(t, equality.Semantic.DeepEqual(first, pipelineStatus(pipeline, ready, ran(store.StatusFailed), decision)))
	require.NotNil(t, pipelineStatus(pipeline, ready, nil, nil).LastRun, "what was known is kept when the rows are gone")
}

func TestEventsOfAPipeline(t *testing.T) {
	t.Parallel()
	none := v1alpha1.CdPipelineStatus{}
	status := func(ready trigger.Readiness, run *store.LastRun, decision *store.LastDecision) v1alpha1.CdPipelineStatus {
		return pipelineStatus(web(), ready, run, decision)
	}
	decision := func(outcome v1alpha1.Outcome, reason v1alpha1.Reason) *store.LastDecision {
		return &store.LastDecision{BuildName: "b1", Outcome: outcome, Reason: reason, Message: "why"}
	}
	failed := status(ready, ran(store.StatusFailed), nil)
	refused := func(digest string) v1alpha1.CdPipelineStatus {
		return status(ready, ran(store.StatusError, func(r *store.LastRun) { r.HasWorkflow, r.Digest = false, digest }), nil)
	}
	for sentence, tc := range map[string]struct {
		before, after v1alpha1.CdPipelineStatus
		want          []news
	}{
		"a pipeline that is ready is no news": {none, status(ready, nil, nil), nil},
		"a pipeline that is triggered is none either: its Workflow tells": {
			none, status(ready, ran(store.StatusSubmitted), decision(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered)), nil,
		},
		"a missing parent is a warning": {
			status(ready, nil, nil), status(orphaned, nil, nil),
			[]news{{corev1.EventTypeWarning, "ParentNotFound", "Decide", `CiPipeline "ci" does not exist`}},
		},
		"a missing parent is told once": {status(orphaned, nil, nil), status(orphaned, nil, nil), nil},
		"being skipped as configured is told": {
			none, status(ready, nil, decision(v1alpha1.OutcomeSkipped, v1alpha1.ReasonSuspended)),
			[]news{{corev1.EventTypeNormal, "Suspended", "Decide", "build b1: why"}},
		},
		"being blocked is a warning": {
			none, status(ready, nil, decision(v1alpha1.OutcomeBlocked, v1alpha1.ReasonFilterFailed)),
			[]news{{corev1.EventTypeWarning, "FilterFailed", "Decide", "build b1: why"}},
		},
		"a run that failed is a warning": {
			status(ready, ran(store.StatusRunning), nil), failed,
			[]news{{corev1.EventTypeWarning, "Failed", "Deploy", "stage DEPLOY for build b1 ended as Failed"}},
		},
		"a run that was cancelled says why": {
			none,
			status(ready, ran(store.StatusCancelled, func(r *store.LastRun) {
				r.Reason, r.Message = v1alpha1.ReasonSuspended, "suspended before its turn came"
			}), nil),
			[]news{{corev1.EventTypeWarning, "Cancelled", "Deploy", "stage DEPLOY for build b1 ended as Cancelled: Suspended: suspended before its turn came"}},
		},
		"the same failure is told once": {failed, failed, nil},
		"the next failure is told again": {
			failed, status(ready, ran(store.StatusFailed, func(r *store.LastRun) { r.WorkflowName = "web-deploy-2" }), nil),
			[]news{{corev1.EventTypeWarning, "Failed", "Deploy", "stage DEPLOY for build b1 ended as Failed"}},
		},
		"one image with two digests fails twice": {
			refused("sha256:0"), refused("sha256:1"),
			[]news{{corev1.EventTypeWarning, "Error", "Deploy", "stage DEPLOY for build b1 ended as Error"}},
		},
		"a run that succeeded is no news": {failed, status(ready, ran(store.StatusSucceeded), nil), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, pipelineNews(tc.before, tc.after))
		})
	}
}
