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

// waits is a run of which a stage is held.
func waits(stage trigger.Stage, reason v1alpha1.Reason, message string) *store.LastRun {
	return ran(store.StatusHeld, func(r *store.LastRun) {
		r.Run, r.Stage, r.HasWorkflow, r.Reason, r.Message = 7, stage, false, reason, message
	})
}

// holdOf is what holds DEPLOY of such a pipeline says.
func holdOf(with func(*v1alpha1.CdPipeline)) string {
	return trigger.HoldOf(given.CdPipeline("web", with), trigger.StageDeploy, false).Message
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
		deployed  []v1alpha1.Deployed
		wantReady string
		triggered string
		lastRun   *v1alpha1.LastRun
	}{
		"a new pipeline is ready and was never triggered": {
			ready, nil, nil, nil, "True Ready: triggered by builds of CiPipeline ci", "", nil,
		},
		"a pipeline without its parent is not ready": {
			orphaned, nil, nil, nil, `False ParentNotFound: CiPipeline "ci" does not exist`, "", nil,
		},
		"a pipeline that was skipped knows for which build and why": {
			ready, nil, skipped, nil, "True Ready: triggered by builds of CiPipeline ci",
			"False Suspended: build b1: spec.suspend is true", nil,
		},
		"a pipeline whose Workflow nobody takes up says so": {
			ready, &store.LastRun{
				Run: 3, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Status: store.StatusSubmitted, HasWorkflow: true, WorkflowName: "web-deploy-1",
				Reason: v1alpha1.ReasonNotTakenUp, Message: "Workflow web-deploy-1 was not taken up", At: at.Time,
			}, triggered, nil, "True Ready: triggered by builds of CiPipeline ci",
			"False NotTakenUp: build b1: stage DEPLOY of run 3 waits: Workflow web-deploy-1 was not taken up",
			&v1alpha1.LastRun{
				Run: 3, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Submitted",
				WorkflowName: "web-deploy-1", At: at, Message: "NotTakenUp: Workflow web-deploy-1 was not taken up",
			},
		},
		"a pipeline that was triggered shows its run": {
			ready, ran(store.StatusRunning), triggered, nil, "True Ready: triggered by builds of CiPipeline ci",
			"True Triggered: triggered by build b1",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Running",
				WorkflowName: "web-deploy-1", At: at,
			},
		},
		"a run that has no Workflow yet names none": {
			ready, ran(store.StatusPending, func(r *store.LastRun) { r.HasWorkflow = false }), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci", "False TriggersPending: build b1: stage DEPLOY of run 0 waits for a slot",
			&v1alpha1.LastRun{BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Pending", At: at},
		},
		"a run that is tried again says why": {
			ready, ran(store.StatusPending, func(r *store.LastRun) {
				r.Run, r.HasWorkflow, r.Reason, r.Message = 7, false, v1alpha1.ReasonSubmissionDelayed, "attempt 3: exceeded quota"
			}), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci",
			"False SubmissionDelayed: build b1: stage DEPLOY of run 7 is tried again: attempt 3: exceeded quota",
			&v1alpha1.LastRun{
				Run: 7, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Pending",
				Message: "SubmissionDelayed: attempt 3: exceeded quota", At: at,
			},
		},
		"a run that ended badly says why": {
			ready,
			ran(store.StatusError, func(r *store.LastRun) {
				r.HasWorkflow, r.Reason, r.Message = false, v1alpha1.ReasonTemplateNotFound, "no such template"
			}),
			nil, nil, "True Ready: triggered by builds of CiPipeline ci", "",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Error",
				Message: "TemplateNotFound: no such template", At: at,
			},
		},
		"a stage that waits for a person says what to do": {
			ready, waits(trigger.StageDeploy, v1alpha1.ReasonPerson, holdOf(given.ManualStage(trigger.StageDeploy))), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci",
			"False Person: build b1: stage DEPLOY of run 7 waits: the trigger of stage DEPLOY is Manual: create a RunRequest with action Resume to go on",
			&v1alpha1.LastRun{
				Run: 7, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Held",
				Message: "Person: the trigger of stage DEPLOY is Manual: create a RunRequest with action Resume to go on", At: at,
			},
		},
		"a run that is on hold says what to do": {
			ready, waits(trigger.StageDeploy, v1alpha1.ReasonHold, holdOf(given.Held)), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci",
			"False Hold: build b1: stage DEPLOY of run 7 waits: spec.hold of the pipeline is true: set it to false to go on",
			&v1alpha1.LastRun{
				Run: 7, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Held",
				Message: "Hold: spec.hold of the pipeline is true: set it to false to go on", At: at,
			},
		},
		"a run that waits its turn says so": {
			ready, waits(trigger.StageDeploy, v1alpha1.ReasonTurn, trigger.TurnHold.Message), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci",
			"False Turn: build b1: stage DEPLOY of run 7 waits: another build has its turn in this pipeline",
			&v1alpha1.LastRun{
				Run: 7, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Held",
				Message: "Turn: another build has its turn in this pipeline", At: at,
			},
		},
		"an earlier run that waits says nothing of the last build": {
			ready, waits(trigger.StageDeploy, v1alpha1.ReasonPerson, "resume it"), &store.LastDecision{
				BuildName: "b2", Outcome: v1alpha1.OutcomeSkipped, Reason: v1alpha1.ReasonSuspended, Message: "spec.suspend is true",
			}, nil,
			"True Ready: triggered by builds of CiPipeline ci", "False Suspended: build b2: spec.suspend is true",
			&v1alpha1.LastRun{
				Run: 7, BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Held",
				Message: "Person: resume it", At: at,
			},
		},
		"a run that was superseded says by what": {
			ready, ran(store.StatusSuperseded, func(r *store.LastRun) {
				r.HasWorkflow, r.Reason, r.Message = false, v1alpha1.ReasonSuperseded, "the newer build b2 went first"
			}), triggered, nil,
			"True Ready: triggered by builds of CiPipeline ci", "True Triggered: triggered by build b1",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Superseded",
				Message: "the newer build b2 went first", At: at,
			},
		},
		"what is deployed is told, whatever runs": {
			ready, ran(store.StatusRunning), triggered,
			[]v1alpha1.Deployed{{Image: "app:2", Digest: "sha256:2", BuildName: "b0", At: at}, {Image: "db:1", Digest: "sha256:1", BuildName: "b0", At: at}},
			"True Ready: triggered by builds of CiPipeline ci", "True Triggered: triggered by build b1",
			&v1alpha1.LastRun{
				BuildName: "b1", Image: "app", Digest: "sha256:0", Stage: "DEPLOY", Phase: "Running",
				WorkflowName: "web-deploy-1", At: at,
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			status := pipelineStatus(web(), tc.ready, facts{run: tc.run, decision: tc.decision, deployed: tc.deployed})
			require.Equal(t, tc.wantReady, line(status.Conditions, v1alpha1.ConditionReady))
			require.Equal(t, tc.triggered, line(status.Conditions, v1alpha1.ConditionTriggered))
			require.Equal(t, tc.lastRun, status.LastRun)
			require.Equal(t, tc.deployed, status.Deployed)
			requireObserved(t, status.Conditions, status.ObservedGeneration)
		})
	}
}

func TestAPipelinesStatusChangesOnlyWithWhatItTells(t *testing.T) {
	t.Parallel()
	decision := &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	pipeline := web()
	before := pipeline.DeepCopy()
	first := pipelineStatus(pipeline, ready, facts{run: ran(store.StatusRunning), decision: decision})
	require.Equal(t, before, pipeline, "the object of the cache was changed")

	pipeline.Status = first
	// The API server keeps whole seconds, the database keeps more.
	later := ran(store.StatusRunning, func(r *store.LastRun) { r.At = time.Unix(1000, 123456) })
	require.True(t, equality.Semantic.DeepEqual(first, pipelineStatus(pipeline, ready, facts{run: later, decision: decision})))
	require.False(t, equality.Semantic.DeepEqual(first, pipelineStatus(pipeline, ready, facts{run: ran(store.StatusFailed), decision: decision})))
	require.NotNil(t, pipelineStatus(pipeline, ready, facts{}).LastRun, "what was known is kept when the rows are gone")
}

func TestEventsOfAPipeline(t *testing.T) {
	t.Parallel()
	none := v1alpha1.CdPipelineStatus{}
	status := func(ready trigger.Readiness, run *store.LastRun, decision *store.LastDecision) v1alpha1.CdPipelineStatus {
		return pipelineStatus(web(), ready, facts{run: run, decision: decision})
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
		"waiting for a slot is none: there would be one for each run": {
			none, status(ready, ran(store.StatusPending), decision(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered)), nil,
		},
		"a missing parent is a warning": {
			status(ready, nil, nil), status(orphaned, nil, nil),
			[]news{{corev1.EventTypeWarning, "ParentNotFound", "Decide", `CiPipeline "ci" does not exist`}},
		},
		"being held is told, with what to do": {
			none, status(ready, waits(trigger.StageDeploy, v1alpha1.ReasonPerson, "resume it"), decision(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered)),
			[]news{{corev1.EventTypeNormal, "Person", "Decide", "build b1: stage DEPLOY of run 7 waits: resume it"}},
		},
		"going on is no news": {
			status(ready, waits(trigger.StageDeploy, v1alpha1.ReasonPerson, "resume it"), decision(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered)),
			status(ready, ran(store.StatusRunning), decision(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered)), nil,
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
			[]news{{corev1.EventTypeNormal, "Cancelled", "Deploy", "stage DEPLOY for build b1 ended as Cancelled: Suspended: suspended before its turn came"}},
		},
		"a run that a newer build overtook is nobody's fault": {
			none,
			status(ready, ran(store.StatusSuperseded, func(r *store.LastRun) {
				r.Reason, r.Message = v1alpha1.ReasonSuperseded, "the newer build b2 went first"
			}), nil),
			[]news{{corev1.EventTypeNormal, "Superseded", "Deploy", "stage DEPLOY for build b1 ended as Superseded: the newer build b2 went first"}},
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
