package wave_test

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

// key names an object of the namespace of all tests.
func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: given.Namespace, Name: name}
}

// base is a base image of a registry.
func base(name string, with ...func(*v1alpha1.BaseImage)) v1alpha1.BaseImage {
	image := given.BaseImage(name, "registry/"+name+":1", with...)
	image.Namespace = given.Namespace
	return *image
}

// built is a base image that the pipeline of that name builds.
func built(name, pipeline string, with ...func(*v1alpha1.BaseImage)) v1alpha1.BaseImage {
	return base(name, append(with, given.BuiltBy(pipeline))...)
}

// app is a pipeline that waves build on these.
func app(name string, with ...func(*v1alpha1.CiPipeline)) v1alpha1.CiPipeline {
	pipeline := given.CiPipeline(name, append([]func(*v1alpha1.CiPipeline){given.Builds("build")}, with...)...)
	pipeline.UID = given.UID(name)
	return *pipeline
}

func on(bases ...string) func(*v1alpha1.CiPipeline) { return given.BuiltOn(bases...) }

func in(namespace string) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) { pipeline.Namespace = namespace }
}

func suspendedPipeline(pipeline *v1alpha1.CiPipeline) { pipeline.Spec.Suspend = true }

func external(pipeline *v1alpha1.CiPipeline) { pipeline.Spec.Workflow = nil }

func suspended(image *v1alpha1.BaseImage) { image.Spec.Suspend = true }

type (
	bases = []v1alpha1.BaseImage
	apps  = []v1alpha1.CiPipeline
)

// states are those of items by the name of the pipeline.
func states(items []wave.Item) map[string]wave.State {
	found := map[string]wave.State{}
	for _, item := range items {
		found[item.Pipeline.Name] = item.State
	}
	return found
}
