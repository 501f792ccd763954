package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	terminal = "phase is terminal and cannot change: create a new CiBuild instead"
	frozen   = "artifacts cannot change once phase is Succeeded"
)

func TestACiBuildIsPendingUntilItsBuilderSaysMore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for sentence, build := range map[string]*v1alpha1.CiBuild{
		"where no status is given": given.CiBuild("plain"),
		"where a status is given at creation, which the API server drops": given.CiBuild("hurried", func(b *v1alpha1.CiBuild) {
			b.Status.Phase, b.Status.Artifacts = v1alpha1.BuildSucceeded, given.Artifacts(1)
		}),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, p.create(t, build))
			read := &v1alpha1.CiBuild{}
			require.NoError(t, p.Get(t.Context(), client.ObjectKeyFromObject(build), read))
			require.Equal(t, v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildPending}, read.Status)
		})
	}
}

func TestCreatingACiBuild(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for sentence, tc := range map[string]struct {
		change  func(*v1alpha1.CiBuild)
		refusal string
	}{
		"the pipeline's name is required": {
			func(b *v1alpha1.CiBuild) { b.Spec.PipelineRef.Name = "" },
			"spec.pipelineRef.name in body should be at least 1 chars long",
		},
		"a pipeline's name of 253 characters is accepted": {
			func(b *v1alpha1.CiBuild) { b.Spec.PipelineRef.Name = strings.Repeat("a", 253) }, "",
		},
		"a pipeline's name of 254 characters is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.PipelineRef.Name = strings.Repeat("a", 254) }, "may not be more than 253 bytes",
		},
		"a revision of 254 characters is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.Revision = strings.Repeat("a", 254) }, "may not be more than 253 bytes",
		},
		"a revision that Argo would evaluate is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.Revision = "x{{=1+1}}" }, "revision must hold neither {{ nor }}",
		},
		"a revision that closes an expression is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.Revision = "a}}" }, "revision must hold neither {{ nor }}",
		},
		"a branch with single braces is accepted": {
			func(b *v1alpha1.CiBuild) { b.Spec.Revision = "feat/{a}-ü" }, "",
		},
		"a revision with a control character is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.Revision = "main\n" }, "spec.revision in body should match",
		},
		"a cause of every type is accepted": {
			func(b *v1alpha1.CiBuild) { b.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseBaseImage} }, "",
		},
		"a cause of an unknown type is refused": {
			func(b *v1alpha1.CiBuild) { b.Spec.Cause = &v1alpha1.BuildCause{Type: "Magic"} },
			`supported values: "Manual", "Webhook", "BaseImage", "API"`,
		},
		"a cause with a message of 1025 characters is refused": {
			func(b *v1alpha1.CiBuild) {
				b.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseManual, Message: strings.Repeat("a", 1025)}
			},
			"may not be more than 1024 bytes",
		},
		"a build's own name of 253 characters is accepted": {
			func(b *v1alpha1.CiBuild) { b.Name = strings.Repeat("b", 253) }, "",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			build := given.CiBuild("", func(b *v1alpha1.CiBuild) { b.GenerateName = "build-" }, tc.change)
			requireAdmission(t, tc.refusal, p.create(t, build))
		})
	}
}

func TestTheSpecOfACiBuildIsImmutable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	build := given.CiBuild("b1", func(b *v1alpha1.CiBuild) { b.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseAPI} })
	require.NoError(t, p.create(t, build))
	for sentence, patch := range map[string]string{
		"the revision cannot change":      `{"spec":{"revision":"other"}}`,
		"the pipeline cannot change":      `{"spec":{"pipelineRef":{"name":"other"}}}`,
		"the cause cannot change":         `{"spec":{"cause":{"by":"somebody"}}}`,
		"the cause cannot be taken away":  `{"spec":{"cause":null}}`,
		"the revision can't be taken off": `{"spec":{"revision":null}}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			requireAdmission(t, "spec is immutable: create a new CiBuild instead", p.patch(t, build.DeepCopy(), patch))
		})
	}
	require.NoError(t, p.patch(t, build.DeepCopy(), `{"metadata":{"labels":{"team":"blue"}}}`), "metadata may change")
}

func TestAMergePatchOfPhaseAndArtifactsFinishesABuild(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	build := given.CiBuild("b1")
	require.NoError(t, p.create(t, build))
	require.NoError(t, p.patchStatus(t, build, finished(given.Artifacts(1))))
	require.Equal(t, v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(1)}, build.Status)
}

func TestReportingOnABuild(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for sentence, tc := range map[string]struct {
		before  string
		patch   string
		refusal string
	}{
		"a build that runs may go on to run":         {phase("Running"), phase("Running"), ""},
		"a build that runs may fail":                 {phase("Running"), phase("Failed"), ""},
		"a build that runs may be cancelled":         {phase("Running"), phase("Cancelled"), ""},
		"a build may have artifacts before it ended": {phase("Running"), `{"status":{"artifacts":` + list(given.Artifacts(1)) + `}}`, ""},
		"an unknown phase is refused":                {phase("Running"), phase("Done"), `Unsupported value: "Done"`},
		"success without artifacts is refused": {
			phase("Running"), phase("Succeeded"), "artifacts must hold at least one image when phase is Succeeded",
		},
		"success with an empty list of artifacts is refused": {
			phase("Running"), finished([]v1alpha1.Artifact{}), "artifacts must hold at least one image when phase is Succeeded",
		},
		"a success stays one":      {finished(given.Artifacts(1)), phase("Failed"), terminal},
		"a failure stays one":      {phase("Failed"), finished(given.Artifacts(1)), terminal},
		"an error stays one":       {phase("Error"), phase("Running"), terminal},
		"a cancelled one stays so": {phase("Cancelled"), phase("Pending"), terminal},
		"a terminal phase cannot be taken away": {
			phase("Failed"), `{"status":{"phase":null}}`, terminal,
		},
		"a terminal status cannot be taken away": {
			finished(given.Artifacts(1)), `{"status":null}`, terminal,
		},
		"artifacts cannot be added after success": {
			finished(given.Artifacts(1)), finished(given.Artifacts(2)), frozen,
		},
		"artifacts cannot be exchanged after success": {
			finished(given.Artifacts(1)), finished([]v1alpha1.Artifact{given.Artifact(1)}), frozen,
		},
		"artifacts cannot be taken away after success": {
			finished(given.Artifacts(1)), `{"status":{"artifacts":null}}`, frozen,
		},
		"the same report may come twice": {finished(given.Artifacts(2)), finished(given.Artifacts(2)), ""},
		"Penstock may write its part after success": {
			finished(given.Artifacts(1)),
			`{"status":{"observedGeneration":1,"triggers":{"total":2,"pending":0,"held":1,"submitted":1,"running":0,"succeeded":0,"failed":0,"skipped":0,"progress":"1/2"}}}`,
			"",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			build := given.CiBuild("", func(b *v1alpha1.CiBuild) { b.GenerateName = "build-" })
			require.NoError(t, p.create(t, build))
			require.NoError(t, p.patchStatus(t, build, tc.before))
			requireAdmission(t, tc.refusal, p.patchStatus(t, build, tc.patch))
		})
	}
}

func TestArtifactsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	digest := given.Artifact(0).Digest
	for sentence, tc := range map[string]struct {
		artifacts []v1alpha1.Artifact
		refusal   string
	}{
		"256 are accepted": {given.Artifacts(256), ""},
		"257 are refused":  {given.Artifacts(257), "must have at most 256 items"},
		"a duplicate is refused": {
			[]v1alpha1.Artifact{given.Artifact(0), given.Artifact(0)}, "Duplicate value",
		},
		"one image with two digests is two artifacts": {
			[]v1alpha1.Artifact{given.Artifact(0), {Image: given.Artifact(0).Image, Digest: given.Artifact(1).Digest}}, "",
		},
		"a digest of an algorithm that no registry has is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "md5:" + strings.Repeat("0", 32)}}, "digest in body should match",
		},
		"a sha512 digest is accepted": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "sha512:" + strings.Repeat("0", 128)}}, "",
		},
		"a sha512 digest of 64 digits is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "sha512:" + strings.Repeat("0", 64)}}, "digest in body should match",
		},
		"a digest in upper case is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "sha256:" + strings.Repeat("A", 64)}}, "digest in body should match",
		},
		"a registry with a port and no tag is accepted": {
			[]v1alpha1.Artifact{{Image: "registry.example.com:5000/team/app", Digest: digest}}, "",
		},
		"a registry without a dot needs a port": {
			[]v1alpha1.Artifact{{Image: "registry:5000/app:1", Digest: digest}}, "",
		},
		"a registry on an IPv6 address is accepted": {
			[]v1alpha1.Artifact{{Image: "[2001:db8::1]:5000/app:v1.2_3-rc", Digest: digest}}, "",
		},
		"a repository with separators is accepted": {
			[]v1alpha1.Artifact{{Image: "localhost/a.b/c__d/e---f", Digest: digest}}, "",
		},
		"an image with a scheme is refused": {
			[]v1alpha1.Artifact{{Image: "https://registry.example.com/app:1", Digest: digest}}, "image in body should match",
		},
		"an image with its digest behind a colon is refused": {
			[]v1alpha1.Artifact{{Image: "r/app:" + digest, Digest: digest}}, "image in body should match",
		},
		"an image with its digest behind an @ is refused": {
			[]v1alpha1.Artifact{{Image: "app:1@" + digest, Digest: digest}}, "image in body should match",
		},
		"a repository in upper case is refused": {
			[]v1alpha1.Artifact{{Image: "registry.example.com/Team/app", Digest: digest}}, "image in body should match",
		},
		"an expression in an image is refused": {
			[]v1alpha1.Artifact{{Image: "app:{{workflow.uid}}", Digest: digest}}, "image in body should match",
		},
		"a digest without an algorithm is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: strings.Repeat("0", 64)}}, "artifacts[0].digest in body should match",
		},
		"a digest that is too short is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "sha256:abc"}}, "artifacts[0].digest in body should match",
		},
		"a digest that is not hexadecimal is refused": {
			[]v1alpha1.Artifact{{Image: "app", Digest: "sha256:" + strings.Repeat("g", 64)}}, "digest in body should match",
		},
		"no digest is refused": {
			[]v1alpha1.Artifact{{Image: "app"}}, "digest in body should match",
		},
		"no image is refused": {
			[]v1alpha1.Artifact{{Digest: digest}}, "artifacts[0].image in body should be at least 1 chars long",
		},
		"an image with a space is refused": {
			[]v1alpha1.Artifact{{Image: "my app", Digest: digest}}, "artifacts[0].image in body should match",
		},
		"an image of 512 characters is accepted": {
			[]v1alpha1.Artifact{{Image: strings.Repeat("a", 512), Digest: digest}}, "",
		},
		"an image of 513 characters is refused": {
			[]v1alpha1.Artifact{{Image: strings.Repeat("a", 513), Digest: digest}}, "may not be more than 512 bytes",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			build := given.CiBuild("", func(b *v1alpha1.CiBuild) { b.GenerateName = "build-" })
			require.NoError(t, p.create(t, build))
			requireAdmission(t, tc.refusal, p.patchStatus(t, build, finished(tc.artifacts)))
		})
	}
}

// finished is what an external system sends when a build succeeded.
func finished(artifacts []v1alpha1.Artifact) string {
	return fmt.Sprintf(`{"status":{"phase":"Succeeded","artifacts":%s}}`, list(artifacts))
}

func phase(name string) string { return fmt.Sprintf(`{"status":{"phase":%q}}`, name) }

func list(artifacts []v1alpha1.Artifact) string {
	text, err := json.Marshal(artifacts)
	if err != nil {
		panic(err)
	}
	return string(text)
}
