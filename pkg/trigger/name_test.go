package trigger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func identity() trigger.Identity {
	return trigger.Identity{
		BuildUID: string(given.UID("b1")), Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		PipelineUID: string(given.UID("web")), Run: 1, Stage: trigger.StageDeploy,
	}
}

func TestWorkflowNamesAreDNSLabelsOfAtMost63Characters(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		pipeline, prefix string
	}{
		"a short name is kept whole":                    {"web", "web-deploy-"},
		"a name of one character is kept":               {"a", "a-deploy-"},
		"dots become dashes":                            {"web.example.com", "web-example-com-deploy-"},
		"a name that starts with a digit is kept":       {"3scale", "3scale-deploy-"},
		"a name of 253 characters is cut":               {strings.Repeat("a", 253), strings.Repeat("a", 39) + "-deploy-"},
		"a cut at a dash leaves no second dash":         {strings.Repeat("a", 38) + "-b", strings.Repeat("a", 38) + "-deploy-"},
		"a cut at a dot leaves no second dash":          {strings.Repeat("a", 38) + ".b", strings.Repeat("a", 38) + "-deploy-"},
		"a name of dots and dashes at the cut is valid": {strings.Repeat("a", 30) + strings.Repeat("--", 20) + "b", strings.Repeat("a", 30) + "-deploy-"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			name := trigger.WorkflowName(tc.pipeline, identity())
			require.Empty(t, validation.IsDNS1123Label(name), name)
			require.Empty(t, validation.IsValidLabelValue(name), name)
			require.True(t, strings.HasPrefix(name, tc.prefix), name)
			require.Equal(t, name, trigger.WorkflowName(tc.pipeline, identity()), "not a pure function")
		})
	}
}

// The name is what makes a second creation of the same Workflow fail, so it must
// never change between versions.
func TestWorkflowNamesAreTheSameInEveryVersion(t *testing.T) {
	t.Parallel()
	name := trigger.WorkflowName("web", trigger.Identity{
		BuildUID: "build", Image: "image", Digest: "sha256:0", PipelineUID: "pipeline", Run: 1, Stage: trigger.StagePost,
	})
	require.Equal(t, "web-post-xvnuseq65qrhzlux", name)
}

// The hashes are those of the version that knew no attempts: what it has planned goes on
// under its identity.
func TestTheFirstAttemptHasTheIdentityThatItHadBeforeThereWereAttempts(t *testing.T) {
	t.Parallel()
	one := trigger.Identity{BuildUID: "build", Image: "image", Digest: "sha256:0", PipelineUID: "pipeline", Run: 1, Stage: trigger.StagePost}
	all := trigger.Identity{BuildUID: "build", PipelineUID: "pipeline", Run: 2, Stage: trigger.StageDeploy}
	for identity, want := range map[trigger.Identity]string{
		one: "xvnuseq65qrhzlux4hpzvsvaahbxy2jgosnib57kvpn3fwan2e4a",
		all: "f3lj7lacbj243jry6ykai6stwo4czkthjpqojqwpk5oukspkz3ha",
	} {
		for attempt := range int32(2) {
			identity.Attempt = attempt
			require.Equal(t, want, identity.Hash(), "attempt %d", attempt)
		}
		identity.Attempt = 2
		require.NotEqual(t, want, identity.Hash())
	}
}

func TestEachAttemptHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]int32{}
	for attempt := int32(1); attempt <= 21; attempt++ {
		i := identity()
		i.Attempt = attempt
		name := trigger.WorkflowName("web", i)
		require.Zero(t, seen[name], "attempts %d and %d", seen[name], attempt)
		seen[name] = attempt
	}
}

func TestEveryPartOfTheIdentityChangesTheName(t *testing.T) {
	t.Parallel()
	names := map[string]string{trigger.WorkflowName("web", identity()): "none"}
	for part, change := range map[string]func(*trigger.Identity){
		"build":    func(i *trigger.Identity) { i.BuildUID = "other" },
		"image":    func(i *trigger.Identity) { i.Image += "x" },
		"digest":   func(i *trigger.Identity) { i.Digest += "0" },
		"pipeline": func(i *trigger.Identity) { i.PipelineUID = "other" },
		"run":      func(i *trigger.Identity) { i.Run = 2 },
		"stage":    func(i *trigger.Identity) { i.Stage = trigger.StagePost },
		"attempt":  func(i *trigger.Identity) { i.Attempt = 2 },
		"where one part ends and the next begins": func(i *trigger.Identity) {
			i.Image, i.Digest = i.Image+i.Digest[:1], i.Digest[1:]
		},
	} {
		changed := identity()
		change(&changed)
		name := trigger.WorkflowName("web", changed)
		require.Empty(t, names[name], "%s makes no difference", part)
		names[name] = part
	}
}

func TestHashesAreLabelValues(t *testing.T) {
	t.Parallel()
	require.Empty(t, validation.IsValidLabelValue(identity().Hash()))
	require.Len(t, identity().Hash(), 52)
}

func TestLabelValuesAreValidForEveryObjectName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"web", "web.example.com", strings.Repeat("a", 253), strings.Repeat("a", 62) + ".b", strings.Repeat("a", 60) + "---b",
	} {
		value := trigger.LabelValue(name)
		require.Empty(t, validation.IsValidLabelValue(value), value)
		require.True(t, strings.HasPrefix(name, value))
	}
}

// FuzzWorkflowName compares two identities and pipelines: equal ones share a
// name, others never do (an attempt below 1 is the first); and what the API server takes for a pipeline's name makes
// names and labels that it takes for a Workflow.
func FuzzWorkflowName(f *testing.F) {
	f.Add("web", "b", "i", "d", "p", int32(1), uint8(0), int32(1), "web", "b", "i", "d", "p", int32(1), uint8(0), int32(0))
	f.Add("web", "b", "i", "d", "p", int32(1), uint8(0), int32(1), "web", "b", "i", "d", "p", int32(1), uint8(0), int32(2))
	f.Add("web", "b", "i", "d", "p", int32(1), uint8(0), int32(1), "web", "b", "i", "d", "p", int32(1), uint8(1), int32(1))
	f.Add("web", "b", "i", "d", "p", int32(1), uint8(1), int32(2), "web", "b", "i", "d", "p", int32(11), uint8(1), int32(22))
	f.Add("web", "bi", "", "d", "p", int32(1), uint8(2), int32(3), "web", "b", "i", "d", "p", int32(1), uint8(2), int32(3))
	f.Add("web", "1:b", "", "", "", int32(1), uint8(2), int32(1), "web", "", "b", "", "", int32(1), uint8(2), int32(1))
	f.Add("a.b", "b", "i", "d", "p", int32(1), uint8(0), int32(1), "a-b", "b", "i", "d", "q", int32(1), uint8(0), int32(1))
	f.Add(strings.Repeat("a", 253), "b", "i", "d", "p", int32(-1), uint8(0), int32(-1), "a..--", "b", "i", "d", "q", int32(0), uint8(0), int32(1))
	stages := []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost}
	f.Fuzz(func(t *testing.T,
		pipelineA, buildA, imageA, digestA, uidA string, runA int32, stageA uint8, attemptA int32,
		pipelineB, buildB, imageB, digestB, uidB string, runB int32, stageB uint8, attemptB int32,
	) {
		a := trigger.Identity{BuildUID: buildA, Image: imageA, Digest: digestA, PipelineUID: uidA, Run: runA, Stage: stages[stageA%3], Attempt: max(attemptA, 1)}
		b := trigger.Identity{BuildUID: buildB, Image: imageB, Digest: digestB, PipelineUID: uidB, Run: runB, Stage: stages[stageB%3], Attempt: max(attemptB, 1)}
		require.Equal(t, a == b, a.Hash() == b.Hash())
		nameA, nameB := trigger.WorkflowName(pipelineA, a), trigger.WorkflowName(pipelineB, b)
		if a != b {
			require.NotEqual(t, nameA, nameB)
		}
		if a == b && pipelineA == pipelineB {
			require.Equal(t, nameA, nameB)
		}
		for pipeline, name := range map[string]string{pipelineA: nameA, pipelineB: nameB} {
			require.LessOrEqual(t, len(name), trigger.MaxNameLength)
			if len(validation.IsDNS1123Subdomain(pipeline)) == 0 {
				require.Empty(t, validation.IsDNS1123Label(name), name)
				require.Empty(t, validation.IsValidLabelValue(trigger.LabelValue(pipeline)), pipeline)
			}
		}
	})
}

func TestTheWorkflowsOfBuildsAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	of := func(pipeline string, stage trigger.Stage) string {
		return trigger.WorkflowName(pipeline, trigger.Identity{BuildUID: "b", PipelineUID: "p", Run: 1, Stage: stage})
	}
	for _, pipeline := range []string{"shop", "a", "shop.web", "build", "x-build", "pre-build-deploy", strings.Repeat("a", 253), strings.Repeat("b-", 100) + "b"} {
		require.True(t, trigger.IsBuildName(of(pipeline, trigger.StageBuild)), pipeline)
		for _, stage := range []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost} {
			require.False(t, trigger.IsBuildName(of(pipeline, stage)), "%s %s", pipeline, stage)
		}
	}
	for _, other := range []string{"", "build", "shop-build", "shop-build-", "shop-build-x", "shop-rebuild-abcdefghijklmnop", "-abcdefghijklmnop"} {
		require.False(t, trigger.IsBuildName(other), other)
	}
}
