package simulate

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Objects are those of one namespace. They are a trigger.Children and a trigger.Parents.
type Objects struct {
	CiPipelines []v1alpha1.CiPipeline
	CdPipelines []v1alpha1.CdPipeline
	Builds      []v1alpha1.CiBuild
}

// Of returns the pipelines whose parentRef is (kind, name).
func (o *Objects) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	var children []v1alpha1.CdPipeline
	for _, pipeline := range o.CdPipelines {
		if pipeline.Spec.ParentRef == (v1alpha1.ParentReference{Kind: kind, Name: name}) {
			children = append(children, pipeline)
		}
	}
	return children
}

// CdPipeline returns the pipeline of that name, or nil.
func (o *Objects) CdPipeline(name string) *v1alpha1.CdPipeline {
	return find(o.CdPipelines, func(one *v1alpha1.CdPipeline) bool { return one.Name == name })
}

// HasCiPipeline tells whether there is a CiPipeline of that name.
func (o *Objects) HasCiPipeline(name string) bool { return o.ciPipeline(name) != nil }

func (o *Objects) ciPipeline(name string) *v1alpha1.CiPipeline {
	return find(o.CiPipelines, func(one *v1alpha1.CiPipeline) bool { return one.Name == name })
}

// Build returns the build of that name, or nil.
func (o *Objects) Build(name string) *v1alpha1.CiBuild {
	return find(o.Builds, func(one *v1alpha1.CiBuild) bool { return one.Name == name })
}

// in returns the objects of a namespace; one that names none, as in a file, is in every one. Each
// pipeline has a UID, which those of files do not.
func (o *Objects) in(namespace string) *Objects {
	isIn := func(other string) bool { return namespace == "" || other == "" || other == namespace }
	some := &Objects{Builds: o.Builds}
	for _, pipeline := range o.CiPipelines {
		if isIn(pipeline.Namespace) {
			some.CiPipelines = append(some.CiPipelines, pipeline)
		}
	}
	for _, pipeline := range o.CdPipelines {
		if !isIn(pipeline.Namespace) {
			continue
		}
		if pipeline.UID == "" {
			pipeline.UID = types.UID("of " + pipeline.Name)
		}
		some.CdPipelines = append(some.CdPipelines, pipeline)
	}
	return some
}

func find[T any](all []T, is func(*T) bool) *T {
	at := slices.IndexFunc(all, func(one T) bool { return is(&one) })
	if at < 0 {
		return nil
	}
	return &all[at]
}
