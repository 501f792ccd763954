package trigger

import "github.com/penstock-cd/penstock/api/v1alpha1"

// FactsOf is what a decision needs to know of a build.
func FactsOf(build *v1alpha1.CiBuild) Build {
	return Build{
		UID: string(build.UID), Namespace: build.Namespace, Name: build.Name,
		CiPipeline: build.Spec.PipelineRef.Name, Revision: build.Spec.Revision, Ref: build.Spec.Ref,
		Cause: string(build.Cause()), Phase: build.Status.Phase, CreatedAt: build.CreationTimestamp.Time,
	}
}
