package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// ended is a build that ended in a phase, of generation 1.
func ended(phase v1alpha1.BuildPhase) *v1alpha1.CiBuild {
	return given.CiBuild("b1", func(b *v1alpha1.CiBuild) {
		b.UID, b.Generation, b.Status.Phase = given.UID("b1"), 1, phase
	})
}

// with is the build with a status that was written before.
func with(build *v1alpha1.CiBuild, status v1alpha1.CiBuildStatus) *v1alpha1.CiBuild {
	build.Status = status
	return build
}

func decided(outcome v1alpha1.Outcome, reason v1alpha1.Reason, count int64, examples ...string) store.DecisionCount {
	return store.DecisionCount{Outcome: outcome, Reason: reason, Count: count, Examples: examples}
}

// line is a condition in a line, such as "True Planned: 3 triggered".
func line(conditions []metav1.Condition, kind string) string {
	condition := meta.FindStatusCondition(conditions, kind)
	if condition == nil {
		return ""
	}
	return string(condition.Status) + " " + condition.Reason + ": " + condition.Message
}

func TestWhatABuildsConditionsTell(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		phase    v1alpha1.BuildPhase
		summary  *store.Summary
		complete string
		planned  string
		trigger  string
	}{
		"runs that wait for a slot are counted": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 50, Pending: 12, Submitted: 38}, Triggered: 38,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 50, "a", "b")},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 50 triggered",
			"False TriggersPending: 12 of 50 runs wait for a slot, or to be tried again",
		},
		"Workflows that nobody takes up are no success": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 2, Submitted: 1, Running: 1}, Triggered: 2,
				Held:      []store.HeldCount{{Reason: v1alpha1.ReasonNotTakenUp, Count: 1, Examples: []string{"web"}}},
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2, "web", "api")},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 2 triggered",
			"False NotTakenUp: 2 of 2 runs have a Workflow; 1 run waits for an Argo controller to take the Workflow up (web)",
		},
		"pipelines that are not triggered are named with the reason": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 2, Running: 2}, Triggered: 2,
				Decisions: []store.DecisionCount{
					decided(v1alpha1.OutcomeWaiting, v1alpha1.ReasonParentRunning, 1, "prod"),
					decided(v1alpha1.OutcomeBlocked, v1alpha1.ReasonInvalidFilter, 7, "a", "b", "c", "d", "e"),
					decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2, "web", "api"),
				},
			},
			"True BuildSucceeded: the build ended as Succeeded",
			"True Planned: 1 Waiting/ParentRunning (prod); 7 Blocked/InvalidFilter (a, b, c, d, e, …); 2 triggered",
			"True AllTriggered: 2 of 2 runs have a Workflow",
		},
		"runs that never had a Workflow are told": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 3, Succeeded: 1, Failed: 2}, Triggered: 2,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 3)},
				Failures: []store.Failure{
					{Pipeline: "web", Stage: trigger.StagePre, Status: store.StatusError, Reason: v1alpha1.ReasonTemplateNotFound, Message: "WorkflowTemplate x does not exist"},
					{Pipeline: "api", Stage: trigger.StageDeploy, Status: store.StatusFailed, Message: "exit code 1"},
				},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 3 triggered",
			"False NotAllTriggered: 2 of 3 runs have a Workflow, the others failed before they had one",
		},
		"runs that are all held are told with what they wait for": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 9, Held: 9}, Triggered: 2,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 9)},
				Held: []store.HeldCount{
					{Reason: v1alpha1.ReasonHold, Count: 1, Examples: []string{"api"}},
					{Reason: v1alpha1.ReasonPerson, Count: 7, Examples: []string{"a", "b", "c", "d", "e"}},
					{Reason: v1alpha1.ReasonTurn, Count: 1, Examples: []string{"web"}},
				},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 9 triggered",
			"False RunsHeld: 2 of 9 runs have a Workflow" +
				"; 1 run waits for spec.hold to be false (api); 7 runs wait for a person (RunRequest with action Resume) (a, b, c, d, e, …); 1 run waits for the turn of another build to end (web)",
		},
		"while runs wait for a slot that is told first, and then what is held": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 3, Pending: 1, Held: 1, Running: 1}, Triggered: 1,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 3)},
				Held:      []store.HeldCount{{Reason: v1alpha1.ReasonTurn, Count: 1, Examples: []string{"web"}}},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 3 triggered",
			"False TriggersPending: 1 of 3 runs wait for a slot, or to be tried again; 1 run waits for the turn of another build to end (web)",
		},
		"a run that is held after a stage has had its Workflow": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 2, Held: 1, Succeeded: 1}, Triggered: 2,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2)},
				Held:      []store.HeldCount{{Reason: v1alpha1.ReasonPerson, Count: 1, Examples: []string{"web"}}},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 2 triggered",
			"True AllTriggered: 2 of 2 runs have a Workflow; 1 run waits for a person (RunRequest with action Resume) (web)",
		},
		"a failure is no matter of triggering": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers: v1alpha1.TriggerSummary{Total: 2, Held: 1, Failed: 1}, Triggered: 1,
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2)},
				Held:      []store.HeldCount{{Reason: v1alpha1.ReasonHold, Count: 1, Examples: []string{"web"}}},
				Failures:  []store.Failure{{Pipeline: "api", Stage: trigger.StageDeploy, Status: store.StatusFailed, Message: "exit code 1"}},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 2 triggered",
			"False RunsHeld: 1 of 2 runs have a Workflow; 1 run waits for spec.hold to be false (web)",
		},
		"a build whose children are all skipped has nothing to trigger": {
			v1alpha1.BuildSucceeded,
			&store.Summary{
				Triggers:  v1alpha1.TriggerSummary{Skipped: 1},
				Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeSkipped, v1alpha1.ReasonSuspended, 1, "web")},
			},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: 1 Skipped/Suspended (web)",
			"True NothingToTrigger: no pipeline is to be triggered",
		},
		"a build without children says so": {
			v1alpha1.BuildSucceeded, &store.Summary{},
			"True BuildSucceeded: the build ended as Succeeded", "True Planned: no CdPipeline has this pipeline as its parent",
			"True NothingToTrigger: no pipeline is to be triggered",
		},
		"a build that failed triggers nothing": {
			v1alpha1.BuildFailed,
			&store.Summary{Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeSkipped, v1alpha1.ReasonBuildNotSucceeded, 1, "web")}},
			"True BuildFailed: the build ended as Failed", "True Planned: 1 Skipped/BuildNotSucceeded (web)",
			"False BuildFailed: a build that ended as Failed triggers nothing",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			status := buildStatus(ended(tc.phase), tc.summary, true, open)
			require.Equal(t, tc.complete, line(status.Conditions, v1alpha1.ConditionComplete))
			require.Equal(t, tc.planned, line(status.Conditions, v1alpha1.ConditionPlanned))
			require.Equal(t, tc.trigger, line(status.Conditions, v1alpha1.ConditionTriggered))
			require.Equal(t, &tc.summary.Triggers, status.Triggers)
			requireObserved(t, status.Conditions, status.ObservedGeneration)
		})
	}
}

func TestWhyAnEndedBuildIsNotPlanned(t *testing.T) {
	t.Parallel()
	planned := buildStatus(ended(v1alpha1.BuildSucceeded), &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 3}}, true, open)
	lost := buildStatus(with(ended(v1alpha1.BuildSucceeded), planned), nil, true, open)
	orphan := buildStatus(ended(v1alpha1.BuildSucceeded), nil, false, open)
	const (
		recordsLost    = "False RecordsLost: " + lostMessage
		parentNotFound = `False ParentNotFound: CiPipeline "ci" does not exist in this namespace: create it, and this build is planned`
	)
	for sentence, tc := range map[string]struct {
		before    v1alpha1.CiBuildStatus
		hasParent bool
		want      string
	}{
		"it simply is not yet":                                 {v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildSucceeded}, true, "False Planning: what to trigger is being decided"},
		"its CiPipeline does not exist":                        {v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildSucceeded}, false, parentNotFound},
		"its CiPipeline still is not there":                    {orphan, false, parentNotFound},
		"its records are lost":                                 {planned, true, recordsLost},
		"its records are lost, and its CiPipeline is gone too": {planned, false, recordsLost},
		"its records stay lost":                                {lost, true, recordsLost},
		"its records stay lost when its CiPipeline goes":       {lost, false, recordsLost},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			status := buildStatus(with(ended(v1alpha1.BuildSucceeded), tc.before), nil, tc.hasParent, open)
			require.Equal(t, tc.want, line(status.Conditions, v1alpha1.ConditionPlanned))
		})
	}
}

func TestRecordsThatComeBackAreBelieved(t *testing.T) {
	t.Parallel()
	summary := &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 1, Succeeded: 1}, Triggered: 1}
	planned := buildStatus(ended(v1alpha1.BuildSucceeded), summary, true, open)
	lost := buildStatus(with(ended(v1alpha1.BuildSucceeded), planned), nil, true, open)
	restored := buildStatus(with(ended(v1alpha1.BuildSucceeded), lost), summary, true, open)
	require.True(t, meta.IsStatusConditionTrue(restored.Conditions, v1alpha1.ConditionPlanned))
}

func TestABuildsStatusChangesOnlyWithWhatItTells(t *testing.T) {
	t.Parallel()
	summary := &store.Summary{
		Triggers: v1alpha1.TriggerSummary{Total: 2, Pending: 1, Running: 1, Progress: "1/2"}, Triggered: 1,
		Decisions: []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2)},
	}
	build := ended(v1alpha1.BuildSucceeded)
	build.Status.Artifacts = given.Artifacts(2)
	build.Status.StartedAt = &metav1.Time{Time: time.Unix(1, 0)}
	before := build.DeepCopy()
	first := buildStatus(build, summary, true, open)
	require.Equal(t, before, build, "the object of the cache was changed")
	require.Equal(t, build.Status.Artifacts, first.Artifacts)
	require.Equal(t, build.Status.StartedAt, first.StartedAt)

	build.Status = first
	require.True(t, equality.Semantic.DeepEqual(first, buildStatus(build, summary, true, open)), "changed although nothing has")
	require.Empty(t, buildNews(first, buildStatus(build, summary, true, open)))

	moved := *summary
	moved.Triggers.Pending, moved.Triggered = 0, 2
	require.False(t, equality.Semantic.DeepEqual(first, buildStatus(build, &moved, true, open)))
}

func TestMessagesOfManyFailuresFitIntoACondition(t *testing.T) {
	t.Parallel()
	const most = 32768 // metav1.Condition
	name := strings.Repeat("a", 253)
	summary := &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 10, Failed: 10}}
	for range 10 {
		summary.Failures = append(summary.Failures, store.Failure{
			Pipeline: name, Stage: trigger.StageDeploy, Status: store.StatusError,
			Reason: v1alpha1.ReasonWorkflowInvalid, Message: strings.Repeat("ü", 5000),
		})
	}
	for range 14 {
		summary.Decisions = append(summary.Decisions,
			decided(v1alpha1.OutcomeBlocked, v1alpha1.ReasonParentNotSucceeded, 10_000, name, name, name, name, name))
	}
	for _, reason := range []v1alpha1.Reason{v1alpha1.ReasonHold, v1alpha1.ReasonPerson, v1alpha1.ReasonTurn} {
		summary.Held = append(summary.Held, store.HeldCount{Reason: reason, Count: 10_000, Examples: []string{name, name, name, name, name}})
	}
	status := buildStatus(ended(v1alpha1.BuildSucceeded), summary, true, open)
	for _, condition := range status.Conditions {
		require.LessOrEqual(t, len(condition.Message), most)
		require.True(t, utf8.ValidString(condition.Message))
	}
	for _, item := range buildNews(v1alpha1.CiBuildStatus{}, status) {
		require.LessOrEqual(t, len(item.note), 1024)
		require.True(t, utf8.ValidString(item.note))
		require.True(t, strings.HasSuffix(item.note, "…"))
	}
}

func TestEventsOfABuild(t *testing.T) {
	t.Parallel()
	build := func(summary *store.Summary, hasParent bool, before v1alpha1.CiBuildStatus) v1alpha1.CiBuildStatus {
		before.Phase = v1alpha1.BuildSucceeded
		return buildStatus(with(ended(v1alpha1.BuildSucceeded), before), summary, hasParent, open)
	}
	triggered := []store.DecisionCount{decided(v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, 2)}
	none := v1alpha1.CiBuildStatus{}
	pending := build(&store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 2, Pending: 2}, Decisions: triggered}, true, none)
	fewer := build(&store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 2, Pending: 1}, Decisions: triggered}, true, pending)
	done := build(&store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 2, Running: 2}, Triggered: 2, Decisions: triggered}, true, fewer)
	held := build(&store.Summary{
		Triggers: v1alpha1.TriggerSummary{Total: 2, Held: 1, Running: 1}, Triggered: 1, Decisions: triggered,
		Held: []store.HeldCount{{Reason: v1alpha1.ReasonPerson, Count: 1, Examples: []string{"web"}}},
	}, true, fewer)
	refused := build(&store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 2, Running: 1, Failed: 1}, Triggered: 1, Decisions: triggered}, true, fewer)
	overtaken := build(&store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 2, Running: 1, Superseded: 1}, Triggered: 1, Decisions: triggered}, true, fewer)
	over := build(&store.Summary{
		Triggers: v1alpha1.TriggerSummary{Total: 2, Failed: 2}, Triggered: 1, Decisions: triggered, Failures: []store.Failure{{Pipeline: "web"}},
	}, true, refused)
	for sentence, tc := range map[string]struct {
		before, after v1alpha1.CiBuildStatus
		want          []news
	}{
		"a plan is told": {none, pending, []news{{corev1.EventTypeNormal, "Planned", "Plan", "2 triggered"}}},
		"progress is not: there would be one for each trigger": {pending, fewer, nil},
		"that all are triggered is told":                       {fewer, done, []news{{corev1.EventTypeNormal, "AllTriggered", "Trigger", "2 of 2 runs have a Workflow"}}},
		"that some are held is told by their pipelines":        {fewer, held, nil},
		"that all are triggered is told after that some were held": {
			held, done, []news{{corev1.EventTypeNormal, "AllTriggered", "Trigger", "2 of 2 runs have a Workflow"}},
		},
		"nothing is told twice":               {done, done, nil},
		"that it is being planned is no news": {none, build(nil, true, none), nil},
		"that some never will be is a warning, once": {
			fewer, refused, []news{{corev1.EventTypeWarning, "NotAllTriggered", "Trigger", "1 of 2 runs have a Workflow, the others failed before they had one"}},
		},
		"that a newer build went first is none": {
			fewer, overtaken, []news{{corev1.EventTypeNormal, "NotAllTriggered", "Trigger", "1 of 2 runs have a Workflow, the others were superseded or cancelled; of 2 runs: 1 superseded"}},
		},
		"not again when a run ends": {refused, over, nil},
		"a CiPipeline that does not exist is a warning": {
			none, build(nil, false, none),
			[]news{{corev1.EventTypeWarning, "ParentNotFound", "Plan", `CiPipeline "ci" does not exist in this namespace: create it, and this build is planned`}},
		},
		"lost records are a warning": {
			done, build(nil, true, done),
			[]news{{
				corev1.EventTypeWarning, "RecordsLost", "Plan",
				lostMessage,
			}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, buildNews(tc.before, tc.after))
		})
	}
}

// requireObserved checks what every condition must have.
func requireObserved(t *testing.T, conditions []metav1.Condition, observed int64) {
	t.Helper()
	require.Equal(t, int64(1), observed)
	for _, condition := range conditions {
		require.Equal(t, observed, condition.ObservedGeneration, condition.Type)
		require.NotEmpty(t, condition.Reason, condition.Type)
		require.False(t, condition.LastTransitionTime.IsZero(), condition.Type)
	}
}

// open is a backlog gate that holds nothing back.
func open() (bool, int, int) { return false, 0, 0 }

func TestABuildTellsThatTheBacklogGateHoldsItBack(t *testing.T) {
	t.Parallel()
	shut := func(active int) Gate { return func() (bool, int, int) { return true, active, 200 } }
	summary := &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 50, Pending: 12}, Triggered: 38}
	waiting := buildStatus(ended(v1alpha1.BuildSucceeded), summary, true, open)
	held := buildStatus(with(ended(v1alpha1.BuildSucceeded), waiting), summary, true, shut(200))
	require.Equal(t, "False BacklogFull: 12 of 50 runs wait for Workflows to finish: 200 are unfinished, and MAX_ACTIVE_WORKFLOWS is 200",
		line(held.Conditions, v1alpha1.ConditionTriggered))
	require.Len(t, buildNews(waiting, held), 1)

	still := buildStatus(with(ended(v1alpha1.BuildSucceeded), held), summary, true, shut(201))
	require.Empty(t, buildNews(held, still), "told once, not with each that ends")
}

// lostMessage is what a build tells whose records are lost.
const lostMessage = "this build was planned, but the database knows nothing of it, as after it was restored; nothing is triggered again by itself: " +
	"look at what is deployed, and to run a pipeline for this build: " +
	`echo '{"apiVersion":"penstock.dev/v1alpha1","kind":"RunRequest","metadata":{"generateName":"again-"},"spec":{"action":"Trigger",` +
	`"pipelineRef":{"name":"PIPELINE"},"buildRef":{"name":"b1"}}}' | kubectl -n default create -f -`
