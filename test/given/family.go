package given

import "github.com/penstock-cd/penstock/api/v1alpha1"

// Family is pipelines in memory, whoever hangs below whom. It is a
// trigger.Children and a trigger.Parents; CI exists in it.
type Family []v1alpha1.CdPipeline

// FamilyOf is a family of these pipelines.
func FamilyOf(pipelines ...*v1alpha1.CdPipeline) Family {
	family := make(Family, len(pipelines))
	for i, pipeline := range pipelines {
		family[i] = *pipeline
	}
	return family
}

// Of returns the pipelines whose parentRef is (kind, name).
func (f Family) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	var children []v1alpha1.CdPipeline
	for _, pipeline := range f {
		if pipeline.Spec.ParentRef == (v1alpha1.ParentReference{Kind: kind, Name: name}) {
			children = append(children, pipeline)
		}
	}
	return children
}

// CdPipeline returns the pipeline of that name, or nil.
func (f Family) CdPipeline(name string) *v1alpha1.CdPipeline {
	for i := range f {
		if f[i].Name == name {
			return &f[i]
		}
	}
	return nil
}

// HasCiPipeline tells whether the name is CI's.
func (f Family) HasCiPipeline(name string) bool { return name == CI }
