package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/backlog"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// noon is when a quota was found used up, a minute before the next attempt.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// knows is a dispatcher that knows why a namespace is shut.
func knows(string) (limit.Delay, bool) {
	return limit.Delay{Reason: "QuotaExceeded", Message: "exceeded quota: team", Attempts: 3, Since: noon, Next: noon.Add(time.Minute)}, true
}

const known = "exceeded quota: team, 3 attempts since 2026-01-02T12:00:00Z, next at 2026-01-02T12:01:00Z: raise the quota, or delete Workflows that have ended"

func TestABuildTellsWhyItsRunsAreDelayed(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		delayed []store.DelayedCount
		delay   func(string) (limit.Delay, bool)
		want    string
	}{
		"by what is known of the namespace": {
			[]store.DelayedCount{{Reason: v1alpha1.ReasonQuotaExceeded, Count: 45, Examples: []string{"a", "b"}}}, knows,
			"False QuotaExceeded: 45 of 50 runs wait for a slot, or to be tried again; 45 runs are delayed (a, b, …): QuotaExceeded: " + known,
		},
		"after a start by what the rows say": {
			[]store.DelayedCount{{Reason: v1alpha1.ReasonForbidden, Count: 1, Examples: []string{"a"}, Message: "attempt 4: no right", Attempts: 4, Next: noon}}, nil,
			"False Forbidden: 45 of 50 runs wait for a slot, or to be tried again; 1 run is delayed (a): Forbidden: attempt 4: no right, 4 attempts, next at 2026-01-02T12:00:00Z: grant Penstock's account the right to create Workflows there",
		},
		"each for its own reason": {
			[]store.DelayedCount{
				{Reason: v1alpha1.ReasonNamespaceShare, Count: 1, Examples: []string{"a"}},
				{Reason: v1alpha1.ReasonPolicyDenied, Count: 1, Examples: []string{"b"}},
			}, knows,
			"False NamespaceShare: 45 of 50 runs wait for a slot, or to be tried again" +
				"; 1 run is delayed (a): NamespaceShare: the namespace has as many unfinished Workflows as MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE allows: wait for Workflows to end, or raise the setting" +
				"; 1 run is delayed (b): PolicyDenied: others of the namespace were refused: change the policy, or what it denies in the template",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
			d.Delay = tc.delay
			d.rows.summary = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 50, Pending: 45}, Triggered: 5, Delayed: tc.delayed}
			d.Builds(named("b1"))
			require.True(t, d.reports(t))
			require.Equal(t, tc.want, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered))
		})
	}
}

func TestADelayIsAnEventOnceAndEveryAttemptIsInTheCondition(t *testing.T) {
	t.Parallel()
	pipeline := web()
	pipeline.UID = given.UID("web")
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI), pipeline)
	attempts := 1
	d.Delay = func(string) (limit.Delay, bool) {
		delay, shut := knows("")
		delay.Attempts = attempts
		return delay, shut
	}
	d.rows.summary = &store.Summary{
		Triggers: v1alpha1.TriggerSummary{Total: 1, Pending: 1}, Delayed: []store.DelayedCount{{Reason: v1alpha1.ReasonQuotaExceeded, Count: 1, Examples: []string{"web"}}},
	}
	d.rows.run = *ran(store.StatusPending, func(r *store.LastRun) { r.HasWorkflow, r.DelayedBy = false, v1alpha1.ReasonQuotaExceeded })
	d.rows.decision = &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	d.rows.delayedBuilds, d.rows.delayedPipelines = append(d.rows.delayedBuilds, named("b1")), append(d.rows.delayedPipelines, named("web"))
	d.Delayed(given.Namespace)
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "1 attempt since")
	require.Contains(t, line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered),
		"False QuotaExceeded: build b1: stage DEPLOY of run 0 waits: exceeded quota: team, 1 attempt since 2026-01-02T12:00:00Z, next at")
	require.Equal(t, 3, d.told(), "planned, and that both are delayed")

	attempts = 2
	d.Delayed(given.Namespace)
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "1 attempt since", "not with each attempt")
	long := time.Now().Add(-delayedInterval)
	d.delays.told[given.Namespace] = toldDelay{at: long, refreshed: long}
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "2 attempts since")
	require.Contains(t, line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered), "2 attempts since")
	require.Zero(t, d.told())
}

func TestManyDelayedPipelinesAreReportedWhenTheyComeAndGoAndElseSeldom(t *testing.T) {
	t.Parallel()
	d := newDelays()
	var many []types.NamespacedName
	for i := range 99 {
		many = append(many, types.NamespacedName{Namespace: "shop", Name: fmt.Sprint(i)})
	}
	build := []types.NamespacedName{{Namespace: "shop", Name: "b1"}}
	builds, pipelines := d.tell("shop", noon, build, many)
	require.Equal(t, build, builds)
	require.Equal(t, many, pipelines)
	_, pipelines = d.tell("shop", noon.Add(delayedInterval), build, many)
	require.Empty(t, pipelines, "only the next attempt is another")
	_, pipelines = d.tell("shop", noon.Add(2*delayedInterval), build, many[1:])
	require.Equal(t, many[:1], pipelines, "it is not delayed any more")
	_, pipelines = d.tell("shop", noon.Add(50*time.Second), build, many[1:])
	require.Subset(t, pipelines, many[1:])
	builds, pipelines = d.tell("shop", noon.Add(51*time.Second), nil, nil)
	require.Equal(t, build, builds)
	require.ElementsMatch(t, many[1:], pipelines)
	require.Empty(t, d.told)
}

func TestBuildsAndPipelinesNameWhoKeepsTheGateClosed(t *testing.T) {
	t.Parallel()
	pipeline := web()
	pipeline.UID = given.UID("web")
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI), pipeline)
	var oldest []backlog.Holder
	d.Holders = func() []backlog.Holder { return oldest }
	d.shut = true
	d.rows.summary = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 1, Pending: 1}}
	d.rows.run = *ran(store.StatusPending, func(r *store.LastRun) { r.HasWorkflow = false })
	d.rows.decision = &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	d.Pipelines(named("web"))
	d.GateMoved()
	require.True(t, d.reports(t))
	require.Equal(t, "False TriggersPending: build b1: stage DEPLOY of run 0 waits for a slot", line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered))
	d.told()

	oldest = []backlog.Holder{{Namespace: "shop", Name: "approve-me", Since: noon, Suspended: true}, {Namespace: "bank", Name: "slow", Since: noon}}
	d.GateMoved()
	require.True(t, d.reports(t))
	const named = "waits for Workflows to finish: 7 are unfinished, and MAX_ACTIVE_WORKFLOWS is 7; the oldest are shop/approve-me since 2026-01-02T12:00:00Z (suspended, not counted), bank/slow since 2026-01-02T12:00:00Z"
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "False BacklogFull: 1 of 1 runs wait"+named[len("waits"):])
	require.Equal(t, "False BacklogFull: build b1: stage DEPLOY of run 0 "+named, line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered))
	require.Equal(t, 2, d.told(), "on the build and on the pipeline")

	oldest, d.shut = nil, false
	d.GateMoved()
	require.True(t, d.reports(t))
	require.Equal(t, "False TriggersPending: build b1: stage DEPLOY of run 0 waits for a slot", line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered))
}
