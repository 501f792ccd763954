package trigger

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Descendant is a pipeline somewhere below a CiPipeline.
type Descendant struct {
	Pipeline *v1alpha1.CdPipeline
	// Root is the child of the CiPipeline that it hangs below; nil for a child.
	Root *v1alpha1.CdPipeline
}

// Descendants returns every pipeline below a CiPipeline once: its children, by priority, then
// what is further below, in the order of its roots.
func Descendants(ciPipeline string, children Children) []Descendant {
	family := newFamily(children)
	roots := family.of(v1alpha1.ParentCiPipeline, ciPipeline)
	all := make([]Descendant, 0, len(roots))
	for i := range roots {
		all = append(all, Descendant{Pipeline: &roots[i]})
	}
	for i := range roots {
		for _, decision := range descend(verdict{}, v1alpha1.Artifact{}, roots[i].Name, family) {
			all = append(all, Descendant{Pipeline: decision.Pipeline, Root: &roots[i]})
		}
	}
	return all
}

// Gone decides for a child of a build's pipeline that was deleted while the build was planned.
func (d Decider) Gone(build Build, artifacts []v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) []Decision {
	return each(verdict{
		v1alpha1.OutcomeSkipped, v1alpha1.ReasonPipelineDeleted, fmt.Sprintf("the pipeline was deleted while build %s was planned", build.Name),
	}, artifacts, pipeline)
}

// Moved decides for a child of a build's pipeline that was hung below another parent while the
// build was planned.
func (d Decider) Moved(artifacts []v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) []Decision {
	return each(verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentChanged, ParentChanged(pipeline)}, artifacts, pipeline)
}

func each(v verdict, artifacts []v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) []Decision {
	decisions := make([]Decision, len(artifacts))
	for i, artifact := range artifacts {
		decisions[i] = v.on(artifact, pipeline)
	}
	return decisions
}
