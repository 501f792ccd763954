package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// image is an artifact whose digest is named by one letter.
func image(name, digest string) v1alpha1.Artifact {
	return v1alpha1.Artifact{Image: name, Digest: "sha256:" + digest}
}

// runs is decisions as lines, each with its artifact, such as
// "web Triggered app:1 sha256:a, also app:2".
func runs(decisions []trigger.Decision) []string {
	lines := make([]string, len(decisions))
	for i, decision := range decisions {
		lines[i] = fmt.Sprintf("%s %s %s %s", decision.Pipeline.Name, decision.Reason, decision.Artifact.Image, decision.Artifact.Digest)
		if len(decision.Also) > 0 {
			lines[i] += ", also " + strings.Join(decision.Also, " ")
		}
	}
	return lines
}

func TestWhichArtifactsOfABuildGoTogether(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	tags := []v1alpha1.Artifact{image("app:1.0", "a"), image("app:latest", "a")}
	for sentence, tc := range map[string]struct {
		pipelines given.Family
		artifacts []v1alpha1.Artifact
		want      []string
		starts    int
	}{
		"one run for each digest": {
			given.FamilyOf(given.CdPipeline("web")), []v1alpha1.Artifact{image("app:1.0", "a"), image("db:1.0", "b")},
			[]string{"web Triggered app:1.0 sha256:a", "web Triggered db:1.0 sha256:b"}, 2,
		},
		"two tags of one digest are one run, which is given the first and names the other": {
			given.FamilyOf(given.CdPipeline("web")), tags,
			[]string{"web Triggered app:1.0 sha256:a, also app:latest", "web SameRun app:latest sha256:a"}, 1,
		},
		"three tags of one digest are one run, which names the others in order": {
			given.FamilyOf(given.CdPipeline("web")), append(tags, image("app:2", "a")),
			[]string{
				"web Triggered app:1.0 sha256:a, also app:latest app:2", "web SameRun app:latest sha256:a", "web SameRun app:2 sha256:a",
			}, 1,
		},
		"tags of one digest need not stand beside each other": {
			given.FamilyOf(given.CdPipeline("web")), []v1alpha1.Artifact{tags[0], image("db:1.0", "b"), tags[1]},
			[]string{
				"web Triggered app:1.0 sha256:a, also app:latest", "web Triggered db:1.0 sha256:b", "web SameRun app:latest sha256:a",
			}, 2,
		},
		"two digests of one repository are two runs": {
			given.FamilyOf(given.CdPipeline("web")), []v1alpha1.Artifact{image("app:1.0", "a"), image("app:1.1", "b")},
			[]string{"web Triggered app:1.0 sha256:a", "web Triggered app:1.1 sha256:b"}, 2,
		},
		"one digest in two repositories is two runs": {
			given.FamilyOf(given.CdPipeline("web")), []v1alpha1.Artifact{image("app:1.0", "a"), image("mirror/app:1.0", "a")},
			[]string{"web Triggered app:1.0 sha256:a", "web Triggered mirror/app:1.0 sha256:a"}, 2,
		},
		"one digest in registries on two ports is two runs": {
			given.FamilyOf(given.CdPipeline("web")), []v1alpha1.Artifact{image("local:5000/app", "a"), image("local:5001/app", "a")},
			[]string{"web Triggered local:5000/app sha256:a", "web Triggered local:5001/app sha256:a"}, 2,
		},
		"a tag that the filter refuses is no part of the run": {
			given.FamilyOf(given.CdPipeline("web", given.Filter(`!artifact.image.endsWith(":1.0")`))), append(tags, image("app:2", "a")),
			[]string{"web FilteredOut app:1.0 sha256:a", "web Triggered app:latest sha256:a, also app:2", "web SameRun app:2 sha256:a"}, 1,
		},
		"each pipeline has a run of its own": {
			given.FamilyOf(given.CdPipeline("api"), given.CdPipeline("web")), tags,
			[]string{
				"api Triggered app:1.0 sha256:a, also app:latest", "web Triggered app:1.0 sha256:a, also app:latest",
				"api SameRun app:latest sha256:a", "web SameRun app:latest sha256:a",
			}, 2,
		},
		"with All there is one run of everything, which needs name no other": {
			given.FamilyOf(given.CdPipeline("web", given.AllArtifacts)), append(tags, image("db:1.0", "b")),
			[]string{"web Triggered app:1.0 sha256:a", "web SameRun app:latest sha256:a", "web SameRun db:1.0 sha256:b"}, 1,
		},
		"with All the run begins with the first that passes the filter": {
			given.FamilyOf(given.CdPipeline("web", given.AllArtifacts, given.Filter(`artifact.image.startsWith("db")`))),
			[]v1alpha1.Artifact{image("app:1.0", "a"), image("db:1.0", "b"), image("app:2.0", "c"), image("db-tools:1.0", "d")},
			[]string{
				"web FilteredOut app:1.0 sha256:a", "web Triggered db:1.0 sha256:b",
				"web FilteredOut app:2.0 sha256:c", "web SameRun db-tools:1.0 sha256:d",
			}, 1,
		},
		"with All there is no run where no artifact passes the filter": {
			given.FamilyOf(given.CdPipeline("web", given.AllArtifacts, given.Filter("false"))), tags,
			[]string{"web FilteredOut app:1.0 sha256:a", "web FilteredOut app:latest sha256:a"}, 0,
		},
		"what hangs below waits, once for each artifact": {
			given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web"))), tags,
			[]string{
				"web Triggered app:1.0 sha256:a, also app:latest", "below ParentRunning app:1.0 sha256:a",
				"web SameRun app:latest sha256:a", "below ParentRunning app:latest sha256:a",
			}, 1,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			decisions := decider.Build(given.Build("b1"), given.CiPipeline(given.CI), tc.artifacts, tc.pipelines)
			require.Equal(t, tc.want, runs(decisions))
			requireRuns(t, tc.starts, decisions)
		})
	}
}

// requireRuns checks how many runs start, and that every other artifact that is triggered
// says in whose run it is.
func requireRuns(t *testing.T, starts int, decisions []trigger.Decision) {
	t.Helper()
	for _, decision := range decisions {
		switch {
		case decision.StartsRun():
			starts--
		case decision.Outcome == v1alpha1.OutcomeTriggered:
			require.Equal(t, v1alpha1.ReasonSameRun, decision.Reason)
			require.True(t, strings.HasPrefix(decision.Message, "part of the run of "), decision.Message)
		}
	}
	require.Zero(t, starts, "runs that start")
}

func TestAnArtifactThatIsPartOfAnothersRunSaysOfWhich(t *testing.T) {
	t.Parallel()
	decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI),
		[]v1alpha1.Artifact{image("app:1.0", "a"), image("app:latest", "a")}, given.FamilyOf(given.CdPipeline("web")))
	require.Equal(t, "by build b1", decisions[0].Message)
	require.Equal(t, "part of the run of app:1.0", decisions[1].Message)
}

func TestARunThatSucceededGoesOnBelowWithAllItsArtifacts(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(given.CdPipeline("web"),
		given.CdPipeline("each", given.BelowCd("web")), given.CdPipeline("whole", given.BelowCd("web"), given.AllArtifacts))
	artifacts := []v1alpha1.Artifact{image("app:1.0", "a"), image("app:latest", "a"), image("db:1.0", "b")}
	require.Equal(t, []string{
		"each Triggered app:1.0 sha256:a, also app:latest", "whole Triggered app:1.0 sha256:a",
		"each SameRun app:latest sha256:a", "whole SameRun app:latest sha256:a",
		"each Triggered db:1.0 sha256:b", "whole SameRun db:1.0 sha256:b",
	}, runs(newDecider(t).Succeeded(given.Build("b1"), artifacts, "web", family)))
}

func TestARepositoryIsAnImageWithoutItsTagAndItsDigest(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct{ image, want string }{
		"a tag is left out":                            {"registry.example.com/team/app:1.0", "registry.example.com/team/app"},
		"a name without a tag is whole":                {"registry.example.com/team/app", "registry.example.com/team/app"},
		"a name alone is whole":                        {"app", "app"},
		"a name alone loses its tag":                   {"app:1.0", "app"},
		"the registry's port is no tag":                {"localhost:5000/app", "localhost:5000/app"},
		"a port and a tag are told apart":              {"localhost:5000/team/app:1.0", "localhost:5000/team/app"},
		"a digest is left out":                         {"app@sha256:0123", "app"},
		"a digest behind a port is left out":           {"localhost:5000/app@sha256:0123", "localhost:5000/app"},
		"a tag and a digest are left out":              {"registry.example.com/app:1.0@sha256:0123", "registry.example.com/app"},
		"an empty tag is left out too":                 {"app:", "app"},
		"nothing is the repository of nothing":         {"", ""},
		"what is no image stays as it is, and is text": {"://", "://"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, trigger.Repository(tc.image))
		})
	}
}

func TestWhatANewerBuildOvertakesIsSkippedWithAllBelow(t *testing.T) {
	t.Parallel()
	const message = "the newer build b2 went first in this pipeline"
	decider := newDecider(t)
	family := given.FamilyOf(
		given.CdPipeline("api"), given.CdPipeline("below-api", given.BelowCd("api")),
		given.CdPipeline("web"), given.CdPipeline("child", given.BelowCd("web")), given.CdPipeline("grandchild", given.BelowCd("child")),
	)
	choosy := given.FamilyOf(
		given.CdPipeline("web", given.Filter(`artifact.image.startsWith("app")`)), given.CdPipeline("child", given.BelowCd("web")),
	)
	one, tags := given.Artifacts(1), []v1alpha1.Artifact{image("app:1.0", "a"), image("app:latest", "a")}
	for sentence, tc := range map[string]struct {
		family    given.Family
		artifacts []v1alpha1.Artifact
		pipeline  string
		want      []string
	}{
		"the pipeline, its children and theirs, and no other": {
			family, one, "web",
			[]string{
				"api Triggered/Triggered", "web Skipped/Superseded", "below-api Waiting/ParentRunning",
				"child Skipped/ParentNotTriggered", "grandchild Skipped/ParentNotTriggered",
			},
		},
		"every artifact, also the one that is part of another's run": {
			given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("child", given.BelowCd("web"))), tags, "web",
			[]string{
				"web Skipped/Superseded", "child Skipped/ParentNotTriggered", "web Skipped/Superseded", "child Skipped/ParentNotTriggered",
			},
		},
		"an artifact that the filter refused keeps its own reason": {
			choosy, []v1alpha1.Artifact{image("db:1.0", "b"), image("app:1.0", "a"), image("db:2.0", "c")}, "web",
			[]string{
				"web Skipped/FilteredOut", "child Skipped/ParentNotTriggered", "web Skipped/Superseded", "child Skipped/ParentNotTriggered",
				"web Skipped/FilteredOut", "child Skipped/ParentNotTriggered",
			},
		},
		"a pipeline that was not to be triggered stays as it is": {
			given.FamilyOf(given.CdPipeline("web", given.Suspended), given.CdPipeline("child", given.BelowCd("web"))), one, "web",
			[]string{"web Skipped/Suspended", "child Skipped/ParentNotTriggered"},
		},
		"a pipeline that none of the decisions is about changes nothing": {
			choosy, one, "elsewhere", []string{"web Skipped/FilteredOut", "child Skipped/ParentNotTriggered"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			decisions := decider.Build(given.Build("b1"), given.CiPipeline(given.CI), tc.artifacts, tc.family)
			before := told(decisions)
			changed := trigger.Overtaken(decisions, string(given.UID(tc.pipeline)), message)
			require.Equal(t, tc.want, told(changed))
			require.Equal(t, before, told(decisions), "the decisions that were given have changed")
			for i, decision := range changed {
				require.Equal(t, decisions[i].Artifact, decision.Artifact)
				require.Same(t, decisions[i].Pipeline, decision.Pipeline)
				if decision.Reason == v1alpha1.ReasonSuperseded {
					require.Equal(t, message, decision.Message)
					require.Empty(t, decision.Also)
					require.False(t, decision.StartsRun())
				}
			}
		})
	}
}

func TestEverythingBelowAnOvertakenPipelineNamesIt(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(
		given.CdPipeline("web"), given.CdPipeline("child", given.BelowCd("web")), given.CdPipeline("grandchild", given.BelowCd("child")),
	)
	decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(1), family)
	changed := trigger.Overtaken(decisions, string(given.UID("web")), "a newer build went first")
	for _, decision := range changed[1:] {
		require.Equal(t, "parent CdPipeline web was not triggered: Superseded", decision.Message, decision.Pipeline.Name)
	}
}

func TestWhatAPersonAsksForIsDecidedByItsFilterAlone(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	tags := []v1alpha1.Artifact{image("app:1.0", "a"), image("app:latest", "a")}
	for sentence, tc := range map[string]struct {
		pipeline  *v1alpha1.CdPipeline
		artifacts []v1alpha1.Artifact
		want      []string
	}{
		"a plain pipeline is triggered, and what is below waits": {
			given.CdPipeline("web"), given.Artifacts(1), []string{"web Triggered/Requested", "child Waiting/ParentRunning"},
		},
		"a pipeline below another is triggered all the same": {
			given.CdPipeline("web", given.BelowCd("parent")), given.Artifacts(1),
			[]string{"web Triggered/Requested", "child Waiting/ParentRunning"},
		},
		"a manual pipeline is triggered": {
			given.CdPipeline("web", given.Manual), given.Artifacts(1), []string{"web Triggered/Requested", "child Waiting/ParentRunning"},
		},
		"a filter that is false speaks against it, and what is below is skipped": {
			given.CdPipeline("web", given.Filter("false")), given.Artifacts(1),
			[]string{"web Skipped/FilteredOut", "child Skipped/ParentNotTriggered"},
		},
		"a filter that is broken blocks it": {
			given.CdPipeline("web", given.Filter("((")), given.Artifacts(1),
			[]string{"web Blocked/InvalidFilter", "child Skipped/ParentNotTriggered"},
		},
		"two tags of one digest are one run": {
			given.CdPipeline("web"), tags,
			[]string{
				"web Triggered/Requested", "child Waiting/ParentRunning", "web Triggered/SameRun", "child Waiting/ParentRunning",
			},
		},
		"with All there is one run": {
			given.CdPipeline("web", given.AllArtifacts), given.Artifacts(2),
			[]string{
				"web Triggered/Requested", "child Waiting/ParentRunning", "web Triggered/SameRun", "child Waiting/ParentRunning",
			},
		},
		"nothing without an artifact": {given.CdPipeline("web"), nil, []string{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			family := given.FamilyOf(tc.pipeline, given.CdPipeline("child", given.BelowCd("web")))
			require.Equal(t, tc.want, told(decider.Requested(given.Build("b1"), tc.artifacts, tc.pipeline, family)))
		})
	}
}

func TestAPipelineThatAPersonAsksForIsDecidedOnceInARing(t *testing.T) {
	t.Parallel()
	web := given.CdPipeline("web", given.BelowCd("child"))
	family := given.FamilyOf(web, given.CdPipeline("child", given.BelowCd("web")))
	require.Equal(t, []string{"web Triggered/Requested", "child Waiting/ParentRunning"},
		told(newDecider(t).Requested(given.Build("b1"), given.Artifacts(1), web, family)))
}

func TestOnlyADecisionToTriggerStartsARun(t *testing.T) {
	t.Parallel()
	for reason, starts := range map[v1alpha1.Reason]bool{
		v1alpha1.ReasonTriggered: true, v1alpha1.ReasonRequested: true, v1alpha1.ReasonSameRun: false,
	} {
		require.Equal(t, starts, trigger.Decision{Outcome: v1alpha1.OutcomeTriggered, Reason: reason}.StartsRun(), reason)
		for _, outcome := range []v1alpha1.Outcome{v1alpha1.OutcomeWaiting, v1alpha1.OutcomeSkipped, v1alpha1.OutcomeBlocked} {
			require.False(t, trigger.Decision{Outcome: outcome, Reason: reason}.StartsRun(), outcome)
		}
	}
}
