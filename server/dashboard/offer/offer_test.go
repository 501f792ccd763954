package offer

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/rights"
)

// labels are what the buttons say, with the run that they are about.
func labels(offers Offers) (all []string) {
	for _, one := range offers {
		all = append(all, one.Label)
	}
	return all
}

func held(stage, reason string) rest.Stage {
	return rest.Stage{Stage: stage, State: "Held", Reason: reason}
}

func TestARunOffersWhatItsStateAllows(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		run  rest.Run
		want []string
	}{
		"one that waits for a person is approved or cancelled":         {rest.Run{Stages: []rest.Stage{held("DEPLOY", "Person"), held("POST", "StageBefore")}}, []string{"Approve DEPLOY", "Cancel"}},
		"one that waits for a window starts now or is cancelled":       {rest.Run{Stages: []rest.Stage{held("PRE", "Window")}}, []string{"Start PRE now", "Cancel"}},
		"one that waits for a freeze to end starts now, too":           {rest.Run{Stages: []rest.Stage{held("PRE", "Freeze")}}, []string{"Start PRE now", "Cancel"}},
		"one that waits for its turn is only cancelled":                {rest.Run{Stages: []rest.Stage{held("DEPLOY", "Turn")}}, []string{"Cancel"}},
		"one whose pipeline is held is only cancelled":                 {rest.Run{Stages: []rest.Stage{held("DEPLOY", "Hold")}}, []string{"Cancel"}},
		"one that runs is only cancelled":                              {rest.Run{Stages: []rest.Stage{{Stage: "DEPLOY", State: "Running"}}}, []string{"Cancel"}},
		"one that failed is retried":                                   {rest.Run{Outcome: "Failed"}, []string{"Retry"}},
		"one that was cancelled is retried":                            {rest.Run{Outcome: "Cancelled", Stages: []rest.Stage{held("DEPLOY", "Person")}}, []string{"Retry"}},
		"one that was superseded is retried, where that is allowed":    {rest.Run{Outcome: "Superseded"}, []string{"Retry"}},
		"one that succeeded offers nothing: to trigger is for a build": {rest.Run{Outcome: "Succeeded"}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			test.run.ID, test.run.Pipeline, test.run.Number = 7, "web", 1
			got := Runs("shop", []rest.Run{test.run})
			require.Equal(t, test.want, labels(got))
			require.Equal(t, got, got.OfRun(7))
			require.Empty(t, got.OfRun(8))
		})
	}
}

func TestOnlyTheNewestRunOfAnArtifactIsRetried(t *testing.T) {
	t.Parallel()
	runs := []rest.Run{
		{ID: 3, Number: 2, Pipeline: "web", Build: "b1", Digest: "a", Outcome: "Failed"}, {ID: 1, Number: 1, Pipeline: "web", Build: "b1", Digest: "a", Outcome: "Failed"},
		{ID: 2, Number: 1, Pipeline: "web", Build: "b1", Digest: "b", Outcome: "Failed"}, {ID: 4, Number: 1, Pipeline: "api", Build: "b1", Digest: "a", Outcome: "Failed"},
	}
	var retried []int64
	for _, one := range Runs("shop", runs) {
		retried = append(retried, one.Run)
	}
	require.Equal(t, []int64{3, 2, 4}, retried)
}

func TestABuildOffersWhatItsPhaseAllows(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for sentence, test := range map[string]struct {
		build rest.Build
		want  []string
	}{
		"one that has not begun is cancelled":      {rest.Build{}, []string{"Cancel the build"}},
		"one that runs is cancelled":               {rest.Build{Phase: "Running"}, []string{"Cancel the build"}},
		"one that has failed is built again":       {rest.Build{Phase: "Failed"}, []string{"Build again"}},
		"one that has succeeded is built again":    {rest.Build{Phase: "Succeeded"}, []string{"Build again"}},
		"one whose CiBuild is gone offers nothing": {rest.Build{Phase: "Failed", DeletedAt: &now}, nil},
	} {
		require.Equal(t, test.want, labels(Build("shop", test.build)), sentence)
	}
}

func TestPipelinesThatABuildDidNotReachAreTriggeredForIt(t *testing.T) {
	t.Parallel()
	decisions := []rest.Decision{
		{Pipeline: "web", Outcome: "Triggered"}, {Pipeline: "old", Outcome: "Skipped", Image: "a"}, {Pipeline: "old", Outcome: "Skipped", Image: "b"},
		{Pipeline: "below", Outcome: "Waiting"}, {Pipeline: "stuck", Outcome: "Blocked"},
	}
	build := rest.Build{Name: "b1", Phase: "Succeeded"}
	var pipelines []string
	for _, one := range Decided("shop", build, decisions) {
		require.Equal(t, Trigger, one.Action)
		require.Equal(t, "b1", one.Build)
		pipelines = append(pipelines, one.Pipeline)
	}
	require.Equal(t, []string{"old", "stuck"}, pipelines)
	build.Phase = "Failed"
	require.Empty(t, Decided("shop", build, decisions), "only a build that succeeded can be deployed")
}

func TestPipelinesOfAnApplicationThatWaitAreApproved(t *testing.T) {
	t.Parallel()
	waits := func(run int64, state, reason string) rest.LastRun {
		return rest.LastRun{ID: run, Stage: "DEPLOY", State: state, Reason: reason}
	}
	offers := Waiting("shop", []rest.CdPipelineStatus{
		{Name: "web", Waiting: []rest.LastRun{waits(7, "Held", "Person"), waits(8, "Held", "Turn"), waits(9, "Held", "Window")}}, {Name: "api", Waiting: []rest.LastRun{waits(10, "Pending", "")}}, {Name: "new"},
	})
	require.Equal(t, []string{"Approve DEPLOY", "Start DEPLOY now"}, labels(offers))
	require.Equal(t, []string{"Approve DEPLOY"}, labels(offers.OfRun(7)))
}

func TestTasksOfTheQueueThatWaitForPeopleOrTheTimeAreStarted(t *testing.T) {
	t.Parallel()
	task := func(run int64, stage, state, reason string) rest.Task {
		return rest.Task{Kind: "cd", Namespace: "shop", Pipeline: "web", Run: run, Stage: stage, State: state, Reason: reason}
	}
	offers := Queue([]rest.Task{
		task(7, "DEPLOY", "Held", "Person"), task(7, "POST", "Held", "StageBefore"), task(8, "PRE", "Held", "Window"), task(9, "PRE", "Held", "Freeze"),
		task(10, "PRE", "Held", "Turn"), task(11, "PRE", "Pending", ""), {Kind: "ci", Namespace: "shop", Pipeline: "ci", Build: "b1", State: "Held", Reason: "Person"},
	})
	require.Equal(t, []string{"Approve DEPLOY", "Start PRE now", "Start PRE now"}, labels(offers))
	require.Equal(t, []string{"Approve DEPLOY"}, labels(offers.OfStage(7, "DEPLOY")))
	require.Empty(t, offers.OfStage(7, "POST"), "a button stands beside its own stage alone")
}

func TestAPipelineIsHeldOrReleased(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"Hold"}, labels(Holding("shop", "web", false)))
	require.Equal(t, []string{"Release"}, labels(Holding("shop", "web", true)))
	require.Equal(t, []string{"Trigger a build", "Roll back"}, labels(Pipeline("shop", "web")))
}

func TestAWaveOffersWhatItsStateAllows(t *testing.T) {
	t.Parallel()
	for state, want := range map[string][]string{
		"Stopped": {"Resume the wave", "Stop the wave"}, "Running": {"Stop the wave"}, "Succeeded": nil, "Failed": nil, "Cancelled": nil,
	} {
		require.Equal(t, want, labels(Wave(rest.Wave{Namespace: "shop", BaseImage: "java", Number: 7, State: state})), state)
	}
}

func TestMessagesOfferWhatTheirStateAllows(t *testing.T) {
	t.Parallel()
	for state, want := range map[string][]string{"Received": nil, "Working": nil, "Done": {"Redeliver"}, "Failed": {"Redeliver"}} {
		require.Equal(t, want, labels(Delivery("shop", rest.Delivery{ID: 7, State: state})), state)
	}
	for state, want := range map[string][]string{"Waiting": nil, "Sent": {"Send again"}, "GivenUp": {"Send again"}, "Skipped": {"Send again"}} {
		got := Notifications("shop", []rest.Notification{{ID: 7, State: state}})
		require.Equal(t, want, labels(got), state)
		require.Equal(t, got, got.OfID(7))
	}
}

func TestEveryActionNeedsRights(t *testing.T) {
	t.Parallel()
	for _, action := range []Name{Resume, Retry, Cancel, Trigger, Rollback, Hold, Release, RetryBuild, CancelBuild, ResumeWave, StopWave, Redeliver, Resend, ChangeLimit} {
		require.NotContains(t, Needs(action, Subject{Namespace: "shop"}), unknown, action)
	}
	require.Empty(t, Offers{{Action: "of-tomorrow"}}.Allowed(func(need rights.Need) bool { return need != unknown }))
}

func TestAnOfferNeedsEveryRightOfItsAction(t *testing.T) {
	t.Parallel()
	offers := Runs("shop", []rest.Run{{ID: 7, Pipeline: "web", Stages: []rest.Stage{held("DEPLOY", "Person")}}})
	create := rights.Need{Verb: "create", Resource: "runrequests", Namespace: "shop"}
	resume := rights.Need{Verb: "resume", Resource: "cdpipelines", Namespace: "shop", Name: "web"}
	cancel := rights.Need{Verb: "cancel", Resource: "cdpipelines", Namespace: "shop", Name: "web"}
	require.Equal(t, []rights.Need{resume, create, cancel}, offers.Needs())
	for sentence, test := range map[string]struct {
		has  []rights.Need
		want []string
	}{
		"who may do all is offered all":              {[]rights.Need{create, resume, cancel}, []string{"Approve DEPLOY", "Cancel"}},
		"who may approve is not offered to cancel":   {[]rights.Need{create, resume}, []string{"Approve DEPLOY"}},
		"who may not create requests has no offer":   {[]rights.Need{resume, cancel}, nil},
		"who may only create requests has no offer":  {[]rights.Need{create}, nil},
		"a right in another namespace is no right":   {[]rights.Need{create, {Verb: "resume", Resource: "cdpipelines", Namespace: "other", Name: "web"}}, nil},
		"a right on another pipeline is not the one": {[]rights.Need{create, {Verb: "resume", Resource: "cdpipelines", Namespace: "shop", Name: "api"}}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			has := map[rights.Need]bool{}
			for _, need := range test.has {
				has[need] = true
			}
			require.Equal(t, test.want, labels(offers.Allowed(func(need rights.Need) bool { return has[need] })))
		})
	}
}

func TestASubjectIsReadFromItsAddress(t *testing.T) {
	t.Parallel()
	whole := Subject{Namespace: "shop", Pipeline: "web", Build: "b1", Stage: "DEPLOY", BaseImage: "java", Limit: "FREEZE", Run: 7, ID: 8}
	got, err := SubjectOf(whole.Query())
	require.NoError(t, err)
	require.Equal(t, whole, got)
	for sentence, query := range map[string]url.Values{
		"no namespace": {"pipeline": {"web"}}, "a run that is no number": {"namespace": {"shop"}, "run": {"x"}}, "a run that is none": {"namespace": {"shop"}, "run": {"0"}},
	} {
		_, err := SubjectOf(query)
		require.ErrorIs(t, err, ErrNoSubject, sentence)
	}
}
