package given

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// BaseImage is one of a registry.
func BaseImage(name, image string, with ...func(*v1alpha1.BaseImage)) *v1alpha1.BaseImage {
	base := &v1alpha1.BaseImage{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BaseImage"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.BaseImageSpec{Image: image},
	}
	return apply(base, with)
}

// CheckedEvery sets how often the registry is asked.
func CheckedEvery(interval time.Duration) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) { base.Spec.Interval = &metav1.Duration{Duration: interval} }
}

// PulledWith names the pull Secret.
func PulledWith(secret string) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) {
		base.Spec.PullSecretRef = &v1alpha1.LocalSecretReference{Name: secret}
	}
}

// BuiltBy makes the image one that a CiPipeline builds.
func BuiltBy(pipeline string) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) {
		base.Spec.From = &v1alpha1.BaseImageSource{PipelineRef: v1alpha1.PipelineReference{Name: pipeline}}
	}
}

// AllowedIn lets CiPipelines of other namespaces be built on it.
func AllowedIn(namespaces ...string) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) { base.Spec.AllowedNamespaces = namespaces }
}

// Settled sets for how long after a change further ones are waited for.
func Settled(settle time.Duration) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) { base.Spec.Rebuild.Settle = &metav1.Duration{Duration: settle} }
}

// Rebuilding bounds the waves: how many builds at once, and how many may fail.
func Rebuilding(parallel, failures int32) func(*v1alpha1.BaseImage) {
	return func(base *v1alpha1.BaseImage) {
		base.Spec.Rebuild.MaxParallel, base.Spec.Rebuild.MaxFailures = parallel, &failures
	}
}
