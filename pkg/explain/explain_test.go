package explain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// factsOf are those of a run of web that is at this stage.
func factsOf(stage rest.Stage, with ...func(*explain.Facts)) explain.Facts {
	facts := explain.Facts{
		Namespace: "shop", Now: noon, Pipeline: "web", Build: "b1", Parent: explain.Parent{Kind: "CiPipeline", Name: "app", Exists: true},
		Decision: &rest.Decision{Build: "b1", Pipeline: "web", Outcome: "Triggered", Reason: "Triggered", Message: "by build b1", At: noon},
		Run:      &explain.Run{Run: rest.Run{ID: 7, Pipeline: "web", Build: "b1", Stages: []rest.Stage{stage}}, Task: explain.Task{ChangedAt: noon}},
		Controller: &explain.Controller{
			SeenAt: noon, InFlight: 5, Limit: 5, Triggered: 168, Observed: time.Minute,
		},
	}
	for _, change := range with {
		change(&facts)
	}
	return facts
}

func TestWhatARunWaitsForIsToldInOneSentence(t *testing.T) {
	t.Parallel()
	queued := rest.Stage{Stage: "DEPLOY", Attempt: 1, State: "Pending"}
	ahead := func(n int) func(*explain.Facts) {
		return func(f *explain.Facts) { f.Run.Task.Ahead, f.Run.Task.Most = n, 10_000 }
	}
	for sentence, tc := range map[string]struct {
		facts explain.Facts
		want  string
	}{
		"a run that runs waits for nothing": {factsOf(rest.Stage{Stage: "DEPLOY", State: "Running"}), ""},
		"a run in a cluster whose lane is shut": {
			factsOf(rest.Stage{Stage: "DEPLOY", State: "Running"}, func(f *explain.Facts) { f.Run.Task.Shut = "nothing is triggered in TargetCluster eu-1 since noon" }),
			"its cluster, where its Workflow can't be followed now: nothing is triggered in TargetCluster eu-1 since noon",
		},
		"a run that ended waits for nothing":  {factsOf(rest.Stage{Stage: "DEPLOY", State: "Failed"}), ""},
		"the next of the queue":               {factsOf(queued), "a slot: 5 of 5 are in use; it is the next"},
		"a long queue has its end in minutes": {factsOf(queued, ahead(3000)), "a slot: 5 of 5 are in use; about 18 min: 3000 before it, 2.8 triggered per second over the last minute"},
		"a very long queue has its end in hours": {
			factsOf(queued, ahead(9000), func(f *explain.Facts) { f.Controller.Triggered = 40 }),
			"a slot: 5 of 5 are in use; about 4 h: 9000 before it, 0.67 triggered per second over the last minute",
		},
		"a queue that is not counted to its end": {
			factsOf(queued, ahead(-1)),
			"a slot: 5 of 5 are in use; more than 60 min: more than 10000 before it, 2.8 triggered per second over the last minute",
		},
		"a fast queue": {
			factsOf(queued, ahead(100), func(f *explain.Facts) { f.Controller.Triggered = 3000 }),
			"a slot: 5 of 5 are in use; about 2 s: 100 before it, 50 triggered per second over the last minute",
		},
		"a Workflow that is being created": {
			factsOf(rest.Stage{Stage: "DEPLOY", State: "Submitting"}), "its Workflow to be created: it is among the next, 5 of 5 slots are in use",
		},
		"a failure that may pass": {
			factsOf(rest.Stage{Stage: "DEPLOY", Attempt: 1, State: "Pending", Reason: "SubmissionDelayed", Message: "the server timed out"}, func(f *explain.Facts) {
				f.Run.Task.NextAt, f.Run.Task.Failures = noon.Add(time.Minute), 3
			}),
			"Workflows of the namespace to be accepted: the server timed out, 3 attempts, next at 2026-11-30T12:01:00Z",
		},
		"a share of the namespace": {
			factsOf(queued, func(f *explain.Facts) { f.Run.Task.DelayedBy = "NamespaceShare" }),
			"Workflows of the namespace to be accepted: the namespace has as many unfinished Workflows as MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE allows: wait for Workflows to end, or raise the setting",
		},
		"a controller that is silent is told, and not what it said last": {
			factsOf(queued, ahead(3), func(f *explain.Facts) { f.Controller.Silent, f.Now = true, noon.Add(3*time.Hour) }),
			"a slot; 3 before it, and nothing by which to tell how long that takes; no controller has been heard of for 3 h, so that nothing goes on: see whether penstock runs",
		},
		"a turn that nobody has": {
			factsOf(rest.Stage{Stage: "DEPLOY", State: "Held", Reason: "Turn"}),
			"the turn of another build to end: no build has it now, so that this one is about to go on",
		},
	} {
		require.Equal(t, tc.want, explain.Pipeline(tc.facts).Waits, sentence)
	}
}

func TestOfARunThatEndedNothingIsWaitedFor(t *testing.T) {
	t.Parallel()
	facts := factsOf(rest.Stage{Stage: "DEPLOY", State: "Held", Reason: "Person"})
	facts.Run.Outcome = "Superseded"
	explained := explain.Pipeline(facts)
	require.Empty(t, explained.Waits)
	require.Nil(t, explained.Since)
}

func TestWhatWasDecidedHasItsRule(t *testing.T) {
	t.Parallel()
	for reason, want := range map[v1alpha1.Reason]string{
		v1alpha1.ReasonTriggered:   "the parent succeeded, the pipeline is neither suspended nor Manual, and its filter is true or absent",
		v1alpha1.ReasonFilteredOut: "spec.filter was false for the artifact",
		"Unknown":                  "",
	} {
		require.Equal(t, want, explain.Rule(reason))
	}
}

func TestWhatCameOfARunNamesWhoAskedForIt(t *testing.T) {
	t.Parallel()
	facts := factsOf(rest.Stage{Stage: "DEPLOY", Attempt: 2, State: "Succeeded", ResumedBy: "alice", SubmittedAt: &noon, WorkflowName: "web-deploy-x"})
	facts.Run.Actor, facts.Run.Outcome, facts.Run.FinishedAt = "bob", "Succeeded", &noon
	require.Equal(t, []string{
		"run 7 was asked for by bob", "stage DEPLOY, resumed by alice, ended as Succeeded, attempt 2 (Workflow web-deploy-x)", "run 7 ended as Succeeded at 2026-11-30T12:00:00Z",
	}, explain.Pipeline(facts).Became)
	require.Contains(t, explain.Pipeline(facts).Decided, "; run 7 comes of a request by bob", "the decision is that of the build")
	facts.Decision.Reason = string(v1alpha1.ReasonRequested)
	require.NotContains(t, explain.Pipeline(facts).Decided, "bob")
}

func TestAPipelineWithoutADecisionSaysWhyThereIsNone(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		facts explain.Facts
		want  string
	}{
		"the parent does not exist": {
			explain.Facts{Pipeline: "web", Parent: explain.Parent{Kind: "CdPipeline", Name: "staging"}},
			"nothing was decided for it yet: its parent, CdPipeline staging, does not exist: create it, or correct spec.parentRef",
		},
		"no build came to the pipeline above": {
			explain.Facts{Pipeline: "web", Parent: explain.Parent{Kind: "CdPipeline", Name: "staging", Exists: true}},
			"nothing was decided for it yet: no build has come to CdPipeline staging since the pipeline exists, or its history was deleted",
		},
		"it was not seen": {explain.Facts{Pipeline: "web"}, "nothing was decided for it yet: the controller has not seen the pipeline"},
	} {
		require.Equal(t, tc.want, explain.Pipeline(tc.facts).Decided, sentence)
	}
}
