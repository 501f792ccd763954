package given

import (
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Builds has builds of the pipeline run here, by this template.
func Builds(template string) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) {
		pipeline.Spec.Workflow = &v1alpha1.BuildWorkflow{TemplateRef: v1alpha1.TemplateReference{Name: template}}
	}
}

// BuildPolicy is the concurrencyPolicy of the pipeline's builds.
func BuildPolicy(policy v1alpha1.ConcurrencyPolicy) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) { pipeline.Spec.ConcurrencyPolicy = policy }
}

// OfRef is a build of a branch or tag.
func OfRef(ref string) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) { build.Spec.Ref = ref }
}

// Because is a build with a cause.
func Because(cause v1alpha1.CauseType) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) { build.Spec.Cause = &v1alpha1.BuildCause{Type: cause} }
}

// BuiltOn names BaseImages of the pipeline's namespace.
func BuiltOn(bases ...string) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) {
		for _, base := range bases {
			pipeline.Spec.BaseImages = append(pipeline.Spec.BaseImages, v1alpha1.BaseImageReference{Name: base})
		}
	}
}

// BuildsIn has a pipeline's builds run in a TargetCluster.
func BuildsIn(cluster string) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) {
		pipeline.Spec.ClusterRef = &v1alpha1.ClusterReference{Name: cluster}
	}
}
