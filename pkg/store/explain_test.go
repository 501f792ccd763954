package store_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	why "github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/test/given"
)

var (
	stamps    = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	workflows = regexp.MustCompile(`Workflow [a-z-]+-[a-z2-7]{16}`)
)

// masked is a text without what each test has another of.
func masked(text string) string {
	return workflows.ReplaceAllString(stamps.ReplaceAllString(text, "TIME"), "Workflow W")
}

// linesOf is an explanation as lines.
func linesOf(p rest.PipelineExplanation) []string {
	lines := []string{p.Decided}
	for _, became := range p.Became {
		lines = append(lines, "so far: "+became)
	}
	if p.Waits != "" {
		lines = append(lines, "waits for "+p.Waits)
	}
	for _, command := range p.Commands {
		lines = append(lines, "$ "+command)
	}
	for i := range lines {
		lines[i] = masked(lines[i])
	}
	return lines
}

// explanationOf is what is said of a pipeline for a build.
func explanationOf(t *testing.T, s *store.Store, build, pipeline string) []string {
	t.Helper()
	_, facts, _, err := view.New(s).ExplainBuild(t.Context(), given.Namespace, build, 0, 500)
	require.NoError(t, err)
	for _, one := range facts {
		if one.Pipeline == pipeline {
			return linesOf(why.Pipeline(one))
		}
	}
	require.Fail(t, "nothing was decided for "+pipeline)
	return nil
}

// alive is a controller that has just been heard of.
func alive(t *testing.T, s *store.Store, with ...func(*store.WorkerState, *store.LaneState)) {
	t.Helper()
	lane := store.LaneState{InFlight: 5, Limit: 5, Triggered: 168, Observed: store.RateWindow}
	state := store.WorkerState{TemplateWait: time.Minute}
	for _, change := range with {
		change(&state, &lane)
	}
	state.Lanes = map[string]store.LaneState{cd.Name(): lane, ci.Name(): lane}
	require.NoError(t, s.Beat(t.Context(), "w", "replica", state))
}

// mirrorFamily notes the pipelines of a family, as the mirror does.
func mirrorFamily(t *testing.T, s *store.Store, family given.Family) {
	t.Helper()
	var rows []store.MirroredCdPipeline
	for i := range family {
		spec := family[i].Spec
		rows = append(rows, store.MirroredCdPipeline{
			UID: string(family[i].UID), Namespace: family[i].Namespace, Name: family[i].Name, SpecHash: fmt.Sprint(spec),
			ParentKind: string(spec.ParentRef.Kind), ParentName: spec.ParentRef.Name, Suspended: spec.Suspend, Held: spec.Hold,
		})
	}
	require.NoError(t, s.MirrorCdPipelines(t.Context(), rows))
}

// heldAtSubmission claims the only task, which its submitter holds.
func heldAtSubmission(t *testing.T, s *store.Store, hold trigger.Hold) {
	t.Helper()
	task := claim(t, s, "w", 1)[0]
	completed(t, s, store.Completion{ID: task.ID, Attempt: task.Attempt, Status: store.StatusHeld, Reason: hold.Reason, Message: hold.Message})
}

// noon is a Monday.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const trigger1 = "$ kubectl penstock trigger web --build b1 -n default"

// Each of these rows is made by the functions that the controller makes it with.
func TestAnExplanationSaysWhyAPipelineIsAsItIs(t *testing.T) {
	t.Parallel()
	web := func(with ...func(*v1alpha1.CdPipeline)) given.Family {
		return given.FamilyOf(given.CdPipeline("web", with...))
	}
	nightly := func(p *v1alpha1.CdPipeline) {
		p.Spec.Windows = []v1alpha1.Window{{Kind: v1alpha1.WindowAllow, Schedule: "0 22 * * *", Duration: metav1.Duration{Duration: time.Hour}}}
	}
	for sentence, tc := range map[string]struct {
		family given.Family
		happen func(t *testing.T, s *store.Store, family given.Family)
		want   []string
	}{
		"it is triggered, and is the next": {family: web(), want: []string{
			"Triggered by build b1", "waits for a slot: 5 of 5 are in use; it is the next", "$ kubectl penstock cancel run 1 -n default",
		}},
		"it runs": {family: web(), happen: func(t *testing.T, s *store.Store, _ given.Family) {
			observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
		}, want: []string{"Triggered by build b1", "so far: stage DEPLOY runs (Workflow W)", "$ kubectl penstock cancel run 1 -n default"}},
		"it has succeeded": {family: web(), happen: func(t *testing.T, s *store.Store, family given.Family) {
			drain(t, s, family, store.StatusSucceeded)
		}, want: []string{"Triggered by build b1", "so far: stage DEPLOY ended as Succeeded (Workflow W)", "so far: run 1 ended as Succeeded at TIME"}},
		"it is suspended": {family: web(given.Suspended), want: []string{
			"Skipped, Suspended: spec.suspend is true",
			`$ kubectl patch cdpipeline web -n default --type merge -p '{"spec":{"suspend":false}}'`, trigger1,
		}},
		"its runs are held": {family: web(given.Held), want: []string{
			"Triggered by build b1", "waits for spec.hold to be false: spec.hold of the pipeline is true: set it to false to go on",
			"$ kubectl penstock release web -n default", "$ kubectl penstock cancel run 1 -n default",
		}},
		"it waits for a person": {family: web(given.ManualStage(trigger.StageDeploy)), want: []string{
			"Triggered by build b1",
			"waits for a person (RunRequest with action Resume), since TIME: the trigger of stage DEPLOY is Manual: create a RunRequest with action Resume to go on",
			"$ kubectl penstock resume run 1 --stage DEPLOY -n default", "$ kubectl penstock cancel run 1 -n default",
		}},
		"it is manual": {family: web(given.Manual), want: []string{"Skipped, ManualTrigger: spec.trigger is Manual", trigger1}},
		"it is filtered out": {family: web(given.Filter("build.ref == 'main'")), want: []string{
			"Skipped, FilteredOut: spec.filter is false: build.ref == 'main'", "$ kubectl edit cdpipeline web -n default", trigger1,
		}},
		"its filter is broken": {family: web(given.Filter("((")), want: []string{
			"Blocked, InvalidFilter: spec.filter: ", "$ kubectl edit cdpipeline web -n default", trigger1,
		}},
		"it waits for its window": {family: web(nightly), happen: func(t *testing.T, s *store.Store, family given.Family) {
			heldAtSubmission(t, s, trigger.TimeHold(&family[0], trigger.StageDeploy, trigger.Freeze{}, noon))
		}, want: []string{
			"Triggered by build b1",
			"waits for its windows to open: spec.windows let nothing start before TIME: wait, or create a RunRequest with action Resume",
			"$ kubectl penstock resume run 1 --stage DEPLOY --reason TEXT -n default", "$ kubectl penstock cancel run 1 -n default",
		}},
		"it is frozen": {family: web(), happen: func(t *testing.T, s *store.Store, family given.Family) {
			freeze := trigger.Freeze{Reason: "stock-taking", Until: noon.Add(time.Hour)}
			heldAtSubmission(t, s, trigger.TimeHold(&family[0], trigger.StageDeploy, freeze, noon))
		}, want: []string{
			"Triggered by build b1",
			"waits for the freeze to end: deployments are frozen until TIME: stock-taking; wait, or create a RunRequest with action Resume",
			"$ kubectl penstock resume run 1 --stage DEPLOY --reason TEXT -n default", "$ kubectl penstock cancel run 1 -n default",
		}},
		"its template is missing": {family: web(), happen: func(t *testing.T, s *store.Store, _ given.Family) {
			heldAtSubmission(t, s, trigger.Hold{Reason: v1alpha1.ReasonTemplate, Message: "WorkflowTemplate nowhere does not exist"})
		}, want: []string{
			"Triggered by build b1",
			"waits for its template to exist: WorkflowTemplate nowhere does not exist; the stage ends as Error at TIME if it is still missing (TEMPLATE_WAIT)",
			"$ kubectl penstock cancel run 1 -n default",
		}},
		"its stage failed": {family: web(given.WithPre), happen: func(t *testing.T, s *store.Store, family given.Family) {
			move(t, s, claim(t, s, "w", 1)[0], store.StatusFailed, "Error (exit code 1)")
			followAll(t, s, family)
		}, want: []string{
			"Triggered by build b1", "so far: stage PRE ended as Failed (Workflow W): WorkflowFailed: Error (exit code 1)",
			"so far: stage DEPLOY ended as Cancelled: StageBeforeFailed: the stage before did not succeed", "so far: run 1 ended as Failed at TIME",
			"$ kubectl penstock retry run 1 -n default",
		}},
		"its Workflow could not be made": {family: web(), happen: func(t *testing.T, s *store.Store, family given.Family) {
			task := claim(t, s, "w", 1)[0]
			completed(t, s, store.Completion{ID: task.ID, Attempt: task.Attempt, Status: store.StatusError, Reason: v1alpha1.ReasonWorkflowInvalid, Message: "spec.entrypoint is required"})
			followAll(t, s, family)
		}, want: []string{
			"Triggered by build b1", "so far: stage DEPLOY ended as Error: WorkflowInvalid: spec.entrypoint is required", "so far: run 1 ended as Error at TIME",
			"$ kubectl penstock retry run 1 -n default",
		}},
		"it is tried again": {family: web(given.WithRetries(2, time.Hour)), happen: func(t *testing.T, s *store.Store, family given.Family) {
			move(t, s, claim(t, s, "w", 1)[0], store.StatusFailed, "Error (exit code 1)")
			followAll(t, s, family)
		}, want: []string{
			"Triggered by build b1", "waits for the next attempt: attempt 2 begins at TIME; attempt 1: Error (exit code 1)",
			"$ kubectl penstock cancel run 1 -n default",
		}},
		"somebody cancelled it": {family: web(), happen: func(t *testing.T, s *store.Store, family given.Family) {
			cancelRun(t, s, family)
			followAll(t, s, family)
		}, want: []string{
			"Triggered by build b1", "so far: stage DEPLOY ended as Cancelled: cancelled by somebody: not now", "so far: run 1 ended as Cancelled at TIME",
			"$ kubectl penstock retry run 1 -n default",
		}},
		"somebody has its Workflow stopped": {family: web(), happen: func(t *testing.T, s *store.Store, family given.Family) {
			observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
			cancelRun(t, s, family)
		}, want: []string{
			"Triggered by build b1", "so far: stage DEPLOY runs (Workflow W)", "so far: it is being stopped", "$ kubectl penstock cancel run 1 -n default",
		}},
		"no Argo takes its Workflow up": {family: web(), happen: func(t *testing.T, s *store.Store, _ given.Family) {
			task := claim(t, s, "w", 1)[0]
			completed(t, s, store.Completion{ID: task.ID, Attempt: task.Attempt, Status: store.StatusSubmitted, WorkflowUID: "uid"})
			_, err := s.MarkPickup(t.Context(), []store.Pickup{{ID: task.ID, Reason: v1alpha1.ReasonNotTakenUp, Message: "nobody took it up"}})
			require.NoError(t, err)
		}, want: []string{
			"Triggered by build b1", "so far: stage DEPLOY has a Workflow that has not begun (Workflow W)",
			"waits for an Argo controller to take the Workflow up: nobody took it up", "$ kubectl penstock cancel run 1 -n default",
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			alive(t, s)
			planned(t, s, "b1", tc.family)
			if tc.happen != nil {
				tc.happen(t, s, tc.family)
			}
			got := explanationOf(t, s, "b1", "web")
			if sentence == "its filter is broken" {
				got[0] = got[0][:len(tc.want[0])] // CEL's own words follow
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestAnExplanationTellsOfOtherBuildsAndPipelines(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		family          given.Family
		happen          func(t *testing.T, s *store.Store, family given.Family)
		build, pipeline string
		want            []string
	}{
		"it waits for the turn of another build": {
			family: given.FamilyOf(given.CdPipeline("web", given.WithPre)), build: "b3", pipeline: "web",
			happen: func(t *testing.T, s *store.Store, family given.Family) {
				plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
				plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
				plannedBuild(t, s, builtAt("b3", 3), given.Artifacts(1), family)
				observe(t, s, claim(t, s, "w", 1)[0], store.StatusRunning)
			},
			want: []string{
				"Triggered by build b3",
				"waits for the turn of another build to end: build b1 has its turn in this pipeline: this one goes on by itself when that has ended; " +
					"its run 1 is at stage PRE, Running; 1 build waits before this one",
				"$ kubectl penstock cancel cdpipeline/web --build b1 -n default", "$ kubectl penstock cancel run 3 -n default",
			},
		},
		"a newer build came while it waited": {
			family: given.FamilyOf(given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyLatest))), build: "b2", pipeline: "web",
			happen: func(t *testing.T, s *store.Store, family given.Family) {
				plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
				plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
				plannedBuild(t, s, builtAt("b3", 3), given.Artifacts(1), family)
				followAll(t, s, family)
			},
			want: []string{
				"Triggered by build b2",
				"so far: stage DEPLOY ended as Superseded: the newer build b3 went first in this pipeline: to deploy this one all the same, create a RunRequest with action Trigger and allowOlder",
				"so far: run 2 ended as Superseded at TIME", "$ kubectl penstock trigger web --build b2 --allow-older -n default",
			},
		},
		"a newer build had its turn before": {
			family: given.FamilyOf(given.CdPipeline("web")), build: "b1", pipeline: "web",
			happen: func(t *testing.T, s *store.Store, family given.Family) {
				plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
				plannedBuild(t, s, builtAt("b1", 1), given.Artifacts(1), family)
			},
			want: []string{
				"Skipped, Superseded: a newer build went first in this pipeline: to deploy this one all the same, create a RunRequest with action Trigger and allowOlder; the newest that has had its turn there is build b2",
				"$ kubectl penstock trigger web --build b1 --allow-older -n default",
			},
		},
		"its parent has not ended": {
			family: given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web"))), build: "b1", pipeline: "below",
			happen: func(t *testing.T, s *store.Store, family given.Family) { planned(t, s, "b1", family) },
			want: []string{
				"Waiting, ParentRunning: waits for CdPipeline web to succeed",
				"waits for CdPipeline web to succeed: its run 1 is at stage DEPLOY, Pending, and waits for a slot: 5 of 5 are in use; it is the next",
				"$ kubectl penstock explain run 1 -n default",
			},
		},
		"its parent failed": {
			family: given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web"))), build: "b1", pipeline: "below",
			happen: func(t *testing.T, s *store.Store, family given.Family) {
				mirrorFamily(t, s, family)
				planned(t, s, "b1", family)
				drain(t, s, family, store.StatusFailed)
			},
			want: []string{
				"Blocked, ParentNotSucceeded: parent CdPipeline web ended as Failed",
				"$ kubectl penstock retry cdpipeline/web --build b1 -n default", "$ kubectl penstock trigger below --build b1 -n default",
			},
		},
		"its parent is suspended": {
			family: given.FamilyOf(given.CdPipeline("web", given.Suspended), given.CdPipeline("below", given.BelowCd("web"))), build: "b1", pipeline: "below",
			happen: func(t *testing.T, s *store.Store, family given.Family) { planned(t, s, "b1", family) },
			want: []string{
				"Skipped, ParentNotTriggered: parent CdPipeline web was not triggered: Suspended", "$ kubectl penstock trigger below --build b1 -n default",
			},
		},
		"its build failed": {
			family: given.FamilyOf(given.CdPipeline("web")), build: "b1", pipeline: "web",
			happen: func(t *testing.T, s *store.Store, family given.Family) {
				failed := given.Build("b1")
				failed.Phase = v1alpha1.BuildFailed
				plannedBuild(t, s, failed, nil, family)
			},
			want: []string{"Skipped, BuildNotSucceeded: build b1 ended as Failed"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			alive(t, s)
			tc.happen(t, s, tc.family)
			require.Equal(t, tc.want, explanationOf(t, s, tc.build, tc.pipeline))
		})
	}
}

// waitsOf is what the last of three pipelines waits for.
func waitsOf(t *testing.T, s *store.Store) string {
	t.Helper()
	return explanationOf(t, s, "b1", "web-002")[1]
}

func TestAnExplanationTellsThePlaceInTheQueueAndHowLongThatTakes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b0", given.CdPipelines(110, "other"))
	execute(t, s, "UPDATE task SET fair_at = now() - interval '1 hour'")
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	require.Equal(t, "waits for a slot; 112 before it, and nothing by which to tell how long that takes; no controller that claims is known, so that nothing goes on: see whether penstock runs", waitsOf(t, s))
	alive(t, s)
	require.Equal(t, "waits for a slot: 5 of 5 are in use; about 40 s: 112 before it, 2.8 triggered per second over the last minute", waitsOf(t, s))
	claim(t, s, "w", 20)
	require.Equal(t, "waits for a slot: 5 of 5 are in use; about 40 s: 112 before it, 2.8 triggered per second over the last minute", waitsOf(t, s), "what is claimed goes before it")
	alive(t, s, func(_ *store.WorkerState, lane *store.LaneState) { lane.Triggered = 0 })
	require.Equal(t, "waits for a slot: 5 of 5 are in use; 112 before it, and nothing by which to tell how long that takes", waitsOf(t, s))
	alive(t, s, func(_ *store.WorkerState, lane *store.LaneState) { lane.Triggered, lane.Observed = 6, 3*time.Second })
	require.Equal(t, "waits for a slot: 5 of 5 are in use; about 56 s: 112 before it, 2 triggered per second over the last 3 s", waitsOf(t, s))
	execute(t, s, "UPDATE worker SET beat_at = now() - interval '10 minutes'")
	require.Equal(t, "waits for a slot; 112 before it, and nothing by which to tell how long that takes; no controller has been heard of for 10 min, so that nothing goes on: see whether penstock runs", waitsOf(t, s))
}

func TestAnExplanationIsOfTheControllerThatWatchesTheNamespace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	alive(t, s, func(state *store.WorkerState, lane *store.LaneState) {
		state.Namespaces, lane.InFlight = []string{given.Namespace}, 3
	})
	require.NoError(t, s.Beat(t.Context(), "another", "elsewhere", store.WorkerState{Namespaces: []string{"other"}}))
	require.Contains(t, waitsOf(t, s), "3 of 5 are in use")
}

func TestAnExplanationNamesWhoHoldsTheGate(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.CdPipelines(3, "web"))
	alive(t, s, func(state *store.WorkerState, lane *store.LaneState) {
		state.Holders = []string{"shop/slow-deploy-x since 2026-11-26T19:00:00Z"}
		lane.GateClosed, lane.Active, lane.MaxActive = true, 7, 7
	})
	require.Equal(t, "waits for Workflows to finish: 7 are unfinished, and MAX_ACTIVE_WORKFLOWS is 7; the oldest are shop/slow-deploy-x since TIME", waitsOf(t, s))
}

func TestAnExplanationTellsWhatDelaysANamespace(t *testing.T) {
	t.Parallel()
	for reason, remedy := range map[v1alpha1.Reason]string{
		v1alpha1.ReasonQuotaExceeded: "raise the quota, or delete Workflows that have ended",
		v1alpha1.ReasonPolicyDenied:  "change the policy, or what it denies in the template",
	} {
		s := newStore(t)
		planned(t, s, "b1", given.CdPipelines(3, "web"))
		task := claim(t, s, "w", 1)[0]
		completed(t, s, store.Completion{
			ID: task.ID, Attempt: task.Attempt, Status: store.StatusPending, DelayedBy: reason, Reason: reason, Message: "refused: team", Delay: time.Minute, Failed: true,
		})
		shut := store.Rooms{Of: map[string]store.Room{given.Namespace: {Cause: reason}}}
		_, _, err := s.ClaimWithin(t.Context(), cd, "w", 10, lease, shut)
		require.NoError(t, err)
		alive(t, s)
		require.Equal(t, "waits for Workflows of the namespace to be accepted: others of the namespace were refused: "+remedy, waitsOf(t, s), "what the row tells")
		require.Regexp(t, "^waits for Workflows of the namespace to be accepted: refused: team, .*next at TIME: "+remedy+"$", explanationOf(t, s, "b1", "web-000")[1])
		alive(t, s, func(_ *store.WorkerState, lane *store.LaneState) {
			lane.Delays = map[string]limit.Delay{given.Namespace: {Reason: string(reason), Message: "refused: team", Attempts: 4, Since: noon, Next: noon.Add(time.Minute)}}
		})
		require.Equal(t, "waits for Workflows of the namespace to be accepted: refused: team, 4 attempts since TIME, next at TIME: "+remedy, waitsOf(t, s), "what the controller tells")
	}
}

func buildExplained(t *testing.T, s *store.Store, name string) (summary string, commands []string) {
	t.Helper()
	facts, _, _, err := view.New(s).ExplainBuild(t.Context(), given.Namespace, name, 0, 500)
	require.NoError(t, err)
	summary, commands = why.Build(facts)
	return masked(summary), commands
}

func TestAnExplanationOfABuildSaysHowItStands(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	alive(t, s)
	note := func(name string, phase v1alpha1.BuildPhase) {
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{{
			UID: string(given.UID(name)), Namespace: given.Namespace, Name: name, CiPipeline: given.CI, Phase: string(phase), SpecHash: "1", CreatedAt: noon,
		}}))
	}
	note("elsewhere", v1alpha1.BuildRunning)
	note("unplanned", v1alpha1.BuildSucceeded)
	planned(t, s, "alone", nil)
	planned(t, s, "done", given.CdPipelines(2, "web"))
	running := given.Build("here")
	running.Phase = v1alpha1.BuildPending
	note("here", v1alpha1.BuildPending)
	queue(t, s, builder(given.CI, v1alpha1.ConcurrencyQueue), running, "main")
	next := given.Build("next")
	next.Phase = v1alpha1.BuildPending
	note("next", v1alpha1.BuildPending)
	queue(t, s, builder(given.CI, v1alpha1.ConcurrencyQueue), next, "main")
	for name, want := range map[string]string{
		"next": "build next of CiPipeline ci has not ended, and nothing is decided before it has: it waits for the turn of another build to end: " +
			"build here has its turn in this pipeline: this one goes on by itself when that has ended",
		"elsewhere": "build elsewhere of CiPipeline ci has not ended, and nothing is decided before it has: whoever builds it reports its end in status.phase",
		"here":      "build here of CiPipeline ci has not ended, and nothing is decided before it has: it waits for a slot: 5 of 5 are in use; it is the next",
		"unplanned": "build unplanned of CiPipeline ci has succeeded, and what to trigger is being decided: if that takes long, the condition Planned of the CiBuild says why",
		"alone":     "build alone of CiPipeline ci has succeeded, and no CdPipeline hung below CiPipeline ci when that was decided at TIME",
		"done":      "build done of CiPipeline ci has succeeded, and was decided on at TIME: 2 runs, 2 not ended, 0 succeeded, 0 ended otherwise",
	} {
		summary, _ := buildExplained(t, s, name)
		require.Equal(t, want, summary)
	}
	require.NoError(t, s.MirrorCiPipelines(t.Context(), []store.MirroredCiPipeline{{UID: "ci", Namespace: given.Namespace, Name: given.CI, SpecHash: "1", Suspended: true}}))
	summary, commands := buildExplained(t, s, "elsewhere")
	require.Equal(t, "build elsewhere of CiPipeline ci has not ended, and nothing is decided before it has: spec.suspend of the CiPipeline is true, and builds that run here begin when it is false", summary)
	require.Equal(t, []string{`kubectl patch cipipeline ci -n default --type merge -p '{"spec":{"suspend":false}}'`}, commands)
	_, commands = buildExplained(t, s, "unplanned")
	require.Equal(t, []string{"kubectl describe cibuild unplanned -n default"}, commands)
	_, _, _, err := view.New(s).ExplainBuild(t.Context(), given.Namespace, "unknown", 0, 500)
	require.ErrorIs(t, err, view.ErrNotFound)
}

func TestARunOfWhichHistoryIsDeletedIsToldFromOneThatNeverWas(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("web"))
	ended(t, s, family, store.StatusSucceeded, 1, 2, 3, 4)
	gone(t, s, 1, 2)
	age(t, s, 100)
	require.Positive(t, prune(t, s))
	v := view.New(s)
	facts, _, err := v.ExplainRun(t.Context(), given.Namespace, 4)
	require.NoError(t, err)
	require.Equal(t, "Triggered by build b4", linesOf(why.Pipeline(facts))[0])
	for id, want := range map[int64]string{
		1: "run 1 is not recorded in namespace default: it belongs to another namespace, or its history was deleted, which happens HISTORY_RETENTION after its CiBuild was",
		9: "run 9 does not exist: no run has had a number that high",
	} {
		_, last, err := v.ExplainRun(t.Context(), given.Namespace, id)
		require.ErrorIs(t, err, view.ErrNotFound)
		require.Equal(t, want, why.UnknownRun(given.Namespace, id, last))
	}
	_, _, err = v.ExplainRun(t.Context(), "another", 4)
	require.ErrorIs(t, err, view.ErrNotFound)
	_, _, _, err = v.ExplainBuild(t.Context(), given.Namespace, "b1", 0, 10)
	require.ErrorIs(t, err, view.ErrNotFound, "its rows are gone")
}

func TestAnExplanationOfAPipelineIsAboutTheLastBuild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	alive(t, s)
	family := given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("held", given.Held), given.CdPipeline("lost", given.BelowCd("nothing")))
	mirrorFamily(t, s, family)
	v := view.New(s)
	explained := func(name string) (string, []string) {
		standing, pipelines, err := v.ExplainPipeline(t.Context(), given.Namespace, name)
		require.NoError(t, err)
		require.Len(t, pipelines, 1)
		return standing.String(), linesOf(why.Pipeline(pipelines[0]))
	}
	standing, lines := explained("lost")
	require.Equal(t, "CdPipeline lost hangs below CdPipeline nothing", standing)
	require.Equal(t, []string{"nothing was decided for it yet: its parent, CdPipeline nothing, does not exist: create it, or correct spec.parentRef"}, lines)
	require.NoError(t, s.MirrorCiPipelines(t.Context(), []store.MirroredCiPipeline{{UID: "ci", Namespace: given.Namespace, Name: given.CI, SpecHash: "1"}}))
	_, lines = explained("web")
	require.Equal(t, []string{"nothing was decided for it yet: no build of CiPipeline ci has ended since the pipeline exists, or its history was deleted"}, lines)
	ended(t, s, family, store.StatusSucceeded, 1)
	plannedBuild(t, s, builtAt("b2", 2), given.Artifacts(1), family)
	_, lines = explained("web")
	require.Equal(t, []string{"Triggered by build b2", "waits for a slot: 5 of 5 are in use; it is the next", "$ kubectl penstock cancel run 4 -n default"}, lines)
	standing, _ = explained("held")
	require.Equal(t, "CdPipeline held hangs below CiPipeline ci; spec.hold is true: runs are planned, and wait until it is false", standing)
	alive(t, s, func(state *store.WorkerState, _ *store.LaneState) {
		state.Freeze = trigger.Freeze{Reason: "stock-taking"}
	})
	standing, _ = explained("web")
	require.Equal(t, "CdPipeline web hangs below CiPipeline ci; deployments are frozen: stock-taking; wait until the setting FREEZE is taken away, or create a RunRequest with action Resume", standing)
	_, _, err := v.ExplainPipeline(t.Context(), given.Namespace, "unknown")
	require.ErrorIs(t, err, view.ErrNotFound)
}
