package given

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// Namespace is where everything is made, unless a test says otherwise.
	Namespace = "default"
	// CI is the name of the CiPipeline that everything hangs below.
	CI = "ci"
	// Template is the WorkflowTemplate that every stage runs.
	Template = "deploy"
)

// UID is a UID that belongs to the name alone.
func UID(name string) types.UID {
	digest := sha256.Sum256([]byte(name))
	text := hex.EncodeToString(digest[:16])
	return types.UID(text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:])
}

// CiPipeline is one that builds trigger from.
func CiPipeline(name string, with ...func(*v1alpha1.CiPipeline)) *v1alpha1.CiPipeline {
	pipeline := &v1alpha1.CiPipeline{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CiPipeline"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
	}
	return apply(pipeline, with)
}

// CiBuild is a build of CI, as it is created: not yet finished.
func CiBuild(name string, with ...func(*v1alpha1.CiBuild)) *v1alpha1.CiBuild {
	build := &v1alpha1.CiBuild{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CiBuild"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       v1alpha1.CiBuildSpec{PipelineRef: v1alpha1.PipelineReference{Name: CI}, Revision: "main"},
	}
	return apply(build, with)
}

// BuildOf makes the build one of another CiPipeline.
func BuildOf(pipeline string) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) { build.Spec.PipelineRef.Name = pipeline }
}

// CdPipeline is a child of CI that is triggered automatically and has the stage
// DEPLOY alone.
func CdPipeline(name string, with ...func(*v1alpha1.CdPipeline)) *v1alpha1.CdPipeline {
	pipeline := &v1alpha1.CdPipeline{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "CdPipeline"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: UID(name)},
		Spec: v1alpha1.CdPipelineSpec{
			ParentRef: v1alpha1.ParentReference{Kind: v1alpha1.ParentCiPipeline, Name: CI},
			Trigger:   v1alpha1.TriggerAutomatic,
			Deploy:    Stage(),
		},
	}
	return apply(pipeline, with)
}

// Stage runs Template when the one before it has succeeded.
func Stage() v1alpha1.StageSpec {
	return v1alpha1.StageSpec{
		Workflow: v1alpha1.WorkflowSpec{TemplateRef: v1alpha1.TemplateReference{Name: Template}},
		Trigger:  v1alpha1.TriggerAutomatic,
	}
}

// Build is a build of CI that succeeded, as decisions see it.
func Build(name string) trigger.Build {
	return trigger.Build{
		UID: string(UID(name)), Namespace: Namespace, Name: name, CiPipeline: CI,
		Revision: "main", Cause: string(v1alpha1.CauseWebhook), Phase: v1alpha1.BuildSucceeded,
	}
}

// Artifact is the n-th image of any build.
func Artifact(n int) v1alpha1.Artifact {
	digest := sha256.Sum256(fmt.Appendf(nil, "image %d", n))
	return v1alpha1.Artifact{
		Image:  fmt.Sprintf("registry.example.com/app-%03d:1.0", n),
		Digest: "sha256:" + hex.EncodeToString(digest[:]),
	}
}

// Artifacts are n different images.
func Artifacts(n int) []v1alpha1.Artifact {
	artifacts := make([]v1alpha1.Artifact, n)
	for i := range artifacts {
		artifacts[i] = Artifact(i)
	}
	return artifacts
}

func apply[T any](object *T, with []func(*T)) *T {
	for _, change := range with {
		change(object)
	}
	return object
}
