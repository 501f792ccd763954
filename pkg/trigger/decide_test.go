package trigger_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// explosive costs more than any limit allows.
const explosive = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c," +
	" [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, true))))))"

func TestOneChildIsDecidedByItsOwnConfiguration(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		want     string
		message  string
	}{
		"a plain child is triggered": {
			given.CdPipeline("web"), "web Triggered/Triggered", "by build b1",
		},
		"a suspended child is skipped": {
			given.CdPipeline("web", given.Suspended), "web Skipped/Suspended", "spec.suspend is true",
		},
		"a manual child is skipped": {
			given.CdPipeline("web", given.Manual), "web Skipped/ManualTrigger", "spec.trigger is Manual",
		},
		"a manual DEPLOY that comes first is triggered, and its run waits for a person": {
			given.CdPipeline("web", given.ManualStage(trigger.StageDeploy)), "web Triggered/Triggered", "by build b1",
		},
		"a manual PRE is triggered, and its run waits for a person": {
			given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StagePre)), "web Triggered/Triggered", "by build b1",
		},
		"a pipeline on hold is triggered, and its run waits": {
			given.CdPipeline("web", given.Held), "web Triggered/Triggered", "by build b1",
		},
		"a manual DEPLOY after an automatic PRE does not keep the pipeline from starting": {
			given.CdPipeline("web", given.WithPre, given.ManualStage(trigger.StageDeploy)),
			"web Triggered/Triggered", "by build b1",
		},
		"a pipeline that is being deleted is skipped": {
			given.CdPipeline("web", func(p *v1alpha1.CdPipeline) {
				p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			}),
			"web Skipped/PipelineTerminating", "being deleted",
		},
		"a filter that is true triggers": {
			given.CdPipeline("web", given.Filter(`build.revision == "main" && artifact.image.endsWith(":1.0")`)),
			"web Triggered/Triggered", "by build b1",
		},
		"a filter sees the pipeline, whose application defaults to its name": {
			given.CdPipeline("web", given.Filter(`pipeline.application == "web" && pipeline.name == "web" && pipeline.namespace == "default" && pipeline.environment == ""`)),
			"web Triggered/Triggered", "",
		},
		"a filter sees the build": {
			given.CdPipeline("web", given.Filter(`build.name == "b1" && build.namespace == "default" && build.pipeline == "ci" && build.cause == "Webhook"`)),
			"web Triggered/Triggered", "",
		},
		"a filter that is false skips, and is quoted": {
			given.CdPipeline("web", given.Filter(`build.cause == "Manual"`)),
			"web Skipped/FilteredOut", `spec.filter is false: build.cause == "Manual"`,
		},
		"a filter with a syntax error blocks": {
			given.CdPipeline("web", given.Filter("build.revision ==")), "web Blocked/InvalidFilter", "Syntax error",
		},
		"a filter over an unknown field blocks": {
			given.CdPipeline("web", given.Filter("build.colour == 'red'")), "web Blocked/InvalidFilter", "undefined field",
		},
		"a filter that yields text blocks": {
			given.CdPipeline("web", given.Filter("build.revision")), "web Blocked/InvalidFilter", "want a boolean",
		},
		"a filter of unknown type blocks": {
			given.CdPipeline("web", given.Filter("dyn(true)")), "web Blocked/InvalidFilter", "want a boolean",
		},
		"a filter nested too deep blocks": {
			given.CdPipeline("web", given.Filter(strings.Repeat("(", 60)+"true"+strings.Repeat(")", 60))),
			"web Blocked/InvalidFilter", "recursion limit",
		},
		"a regular expression that is too large blocks": {
			given.CdPipeline("web", given.Filter("artifact.image.matches('"+strings.Repeat("[a-z]{1000}", 10)+"')")),
			"web Blocked/InvalidFilter", "regex program size",
		},
		"a filter that fails at run time blocks": {
			given.CdPipeline("web", given.Filter("[true][size(build.name)]")), "web Blocked/FilterFailed", "index out of bounds",
		},
		"a regular expression that is made at run time and too large blocks": {
			given.CdPipeline("web", given.Filter("artifact.image.matches(build.name + '[a-z]{1000}[a-z]{1000}')")),
			"web Blocked/FilterFailed", "regex program size",
		},
		"a filter that costs too much blocks": {
			given.CdPipeline("web", given.Filter(explosive)), "web Blocked/FilterTooExpensive",
			"spec.filter: operation cancelled: actual cost limit exceeded",
		},
		"suspension is told before a filter that is broken": {
			given.CdPipeline("web", given.Suspended, given.Filter("((")), "web Skipped/Suspended", "",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			decisions := decider.Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(1), given.FamilyOf(tc.pipeline))
			require.Equal(t, []string{tc.want}, told(decisions))
			require.Contains(t, decisions[0].Message, tc.message)
			require.Equal(t, given.Artifact(0), decisions[0].Artifact)
		})
	}
}

func TestABuildDecidesForEveryDescendant(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	failed := func(b *trigger.Build) { b.Phase = v1alpha1.BuildFailed }
	suspended := func(p *v1alpha1.CiPipeline) { p.Spec.Suspend = true }
	unchanged := func(*trigger.Build) {}
	resumed := func(*v1alpha1.CiPipeline) {}
	for sentence, tc := range map[string]struct {
		build     func(*trigger.Build)
		ci        func(*v1alpha1.CiPipeline)
		artifacts int
		family    given.Family
		want      []string
	}{
		"no children, no decisions": {unchanged, resumed, 1, nil, []string{}},
		"children of other pipelines are left alone": {
			unchanged, resumed, 1, given.FamilyOf(given.CdPipeline("other", given.BelowCi("elsewhere"))), []string{},
		},
		"higher priority comes first, then the name": {
			unchanged, resumed, 1,
			given.FamilyOf(
				given.CdPipeline("c"), given.CdPipeline("b"), given.CdPipeline("low", given.Priority(-1)),
				given.CdPipeline("high", given.Priority(9)),
			),
			[]string{"high Triggered/Triggered", "b Triggered/Triggered", "c Triggered/Triggered", "low Triggered/Triggered"},
		},
		"every child is decided once for each artifact": {
			unchanged, resumed, 2, given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b", given.Suspended)),
			[]string{"a Triggered/Triggered", "b Skipped/Suspended", "a Triggered/Triggered", "b Skipped/Suspended"},
		},
		"what hangs below a triggered child waits, however deep": {
			unchanged, resumed, 1,
			given.FamilyOf(
				given.CdPipeline("child"), given.CdPipeline("grandchild", given.BelowCd("child")),
				given.CdPipeline("great", given.BelowCd("grandchild")),
			),
			[]string{"child Triggered/Triggered", "grandchild Waiting/ParentRunning", "great Waiting/ParentRunning"},
		},
		"what hangs below a skipped child is skipped, however deep": {
			unchanged, resumed, 1,
			given.FamilyOf(
				given.CdPipeline("child", given.Suspended), given.CdPipeline("grandchild", given.BelowCd("child")),
				given.CdPipeline("great", given.BelowCd("grandchild")),
			),
			[]string{"child Skipped/Suspended", "grandchild Skipped/ParentNotTriggered", "great Skipped/ParentNotTriggered"},
		},
		"what hangs below a blocked child is skipped": {
			unchanged, resumed, 1,
			given.FamilyOf(given.CdPipeline("child", given.Filter("((")), given.CdPipeline("grandchild", given.BelowCd("child"))),
			[]string{"child Blocked/InvalidFilter", "grandchild Skipped/ParentNotTriggered"},
		},
		"a ring that no build leads to is not entered": {
			unchanged, resumed, 1,
			given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("x", given.BelowCd("y")), given.CdPipeline("y", given.BelowCd("x"))),
			[]string{"web Triggered/Triggered"},
		},
		"a CiPipeline that is suspended triggers nothing, and every descendant is told": {
			unchanged, suspended, 2,
			given.FamilyOf(given.CdPipeline("child"), given.CdPipeline("grandchild", given.BelowCd("child"))),
			[]string{
				"child Skipped/ParentSuspended", "grandchild Skipped/ParentSuspended",
				"child Skipped/ParentSuspended", "grandchild Skipped/ParentSuspended",
			},
		},
		"a build that failed triggers nothing, and every descendant is told once": {
			failed, resumed, 2,
			given.FamilyOf(given.CdPipeline("child"), given.CdPipeline("grandchild", given.BelowCd("child"))),
			[]string{"child Skipped/BuildNotSucceeded", "grandchild Skipped/BuildNotSucceeded"},
		},
		"that the build failed is told before that the CiPipeline is suspended": {
			failed, suspended, 0, given.FamilyOf(given.CdPipeline("child")), []string{"child Skipped/BuildNotSucceeded"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			build := given.Build("b1")
			tc.build(&build)
			decisions := decider.Build(build, given.CiPipeline(given.CI, tc.ci), given.Artifacts(tc.artifacts), tc.family)
			require.Equal(t, tc.want, told(decisions))
		})
	}
}

func TestABuildThatFailedDecidesWithoutAnArtifact(t *testing.T) {
	t.Parallel()
	build := given.Build("b1")
	build.Phase = v1alpha1.BuildCancelled
	decisions := newDecider(t).Build(build, given.CiPipeline(given.CI), nil, given.FamilyOf(given.CdPipeline("web")))
	require.Len(t, decisions, 1)
	require.Zero(t, decisions[0].Artifact)
	require.Equal(t, "build b1 ended as Cancelled", decisions[0].Message)
}

func TestAFilterIsAskedForEachArtifact(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(given.CdPipeline("web", given.Filter(`artifact.image.contains("app-001")`)))
	decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(3), family)
	require.Equal(t, []string{"web Skipped/FilteredOut", "web Triggered/Triggered", "web Skipped/FilteredOut"}, told(decisions))
	require.Equal(t, given.Artifact(1), decisions[1].Artifact)
}

func TestAPipelineThatEndedDecidesForEveryDescendant(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	chain := given.FamilyOf(
		given.CdPipeline("parent"), given.CdPipeline("child", given.BelowCd("parent")),
		given.CdPipeline("grandchild", given.BelowCd("child")),
	)
	// A pipeline can run, and then be hung below its own descendant.
	ring := given.FamilyOf(
		given.CdPipeline("parent", given.BelowCd("child")), given.CdPipeline("child", given.BelowCd("parent")),
		given.CdPipeline("sibling", given.BelowCd("parent")),
	)
	for sentence, tc := range map[string]struct {
		decisions []trigger.Decision
		want      []string
	}{
		"success triggers the children, and what is below them waits": {
			decider.Succeeded(given.Build("b1"), given.Artifacts(1), "parent", chain),
			[]string{"child Triggered/Triggered", "grandchild Waiting/ParentRunning"},
		},
		"any other end blocks everything below": {
			decider.Ended(given.Artifacts(1), "parent", "Failed", chain),
			[]string{"child Blocked/ParentNotSucceeded", "grandchild Blocked/ParentNotSucceeded"},
		},
		"a ring is walked once when its member succeeded, and no pipeline is decided twice": {
			decider.Succeeded(given.Build("b1"), given.Artifacts(1), "parent", ring),
			[]string{"child Triggered/Triggered", "sibling Triggered/Triggered"},
		},
		"a ring is walked once when its member failed": {
			decider.Ended(given.Artifacts(1), "parent", "Failed", ring),
			[]string{"child Blocked/ParentNotSucceeded", "sibling Blocked/ParentNotSucceeded"},
		},
		"success triggers the children once for each artifact of the run": {
			decider.Succeeded(given.Build("b1"), given.Artifacts(2), "parent", chain),
			[]string{"child Triggered/Triggered", "grandchild Waiting/ParentRunning", "child Triggered/Triggered", "grandchild Waiting/ParentRunning"},
		},
		"any other end blocks everything below once for each artifact of the run": {
			decider.Ended(given.Artifacts(2), "parent", "Failed", chain),
			[]string{
				"child Blocked/ParentNotSucceeded", "grandchild Blocked/ParentNotSucceeded",
				"child Blocked/ParentNotSucceeded", "grandchild Blocked/ParentNotSucceeded",
			},
		},
		"a pipeline without children decides nothing": {
			decider.Succeeded(given.Build("b1"), given.Artifacts(1), "grandchild", chain), []string{},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, told(tc.decisions))
		})
	}
}

// moving shows one pipeline below two parents, as a cache does when the parentRef
// changes between two lookups.
type moving struct{ given.Family }

func (m moving) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	return append(m.Family.Of(kind, name), *given.CdPipeline("mover"))
}

func TestAPipelineThatMovesDuringTheWalkIsDecidedOnce(t *testing.T) {
	t.Parallel()
	children := moving{given.FamilyOf(given.CdPipeline("a"), given.CdPipeline("b"))}
	decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(1), children)
	require.Equal(t, []string{"a Triggered/Triggered", "b Triggered/Triggered", "mover Triggered/Triggered"}, told(decisions))
}

func TestMessagesAreBoundedAndStayText(t *testing.T) {
	t.Parallel()
	filter := `build.name == "` + strings.Repeat("ü", 2000) + `"`
	decisions := newDecider(t).Build(given.Build("b1"), given.CiPipeline(given.CI), given.Artifacts(1),
		given.FamilyOf(given.CdPipeline("web", given.Filter(filter))))
	require.LessOrEqual(t, len(decisions[0].Message), 1024)
	require.True(t, utf8.ValidString(decisions[0].Message))
	require.True(t, strings.HasSuffix(decisions[0].Message, "…"))
}
