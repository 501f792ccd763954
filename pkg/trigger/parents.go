package trigger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Parents finds the objects that a parentRef names.
type Parents interface {
	// CdPipeline returns the pipeline of that name in the namespace, or nil.
	CdPipeline(name string) *v1alpha1.CdPipeline
	// HasCiPipeline tells whether the namespace has a CiPipeline of that name.
	HasCiPipeline(name string) bool
}

// Readiness is whether a pipeline can ever be triggered, and why not.
type Readiness struct {
	Ready   bool
	Reason  v1alpha1.Reason
	Message string
}

// Ready follows the pipeline's parents up to a CiPipeline and checks its filter.
func (d Decider) Ready(pipeline *v1alpha1.CdPipeline, parents Parents) Readiness {
	if err := d.Filters.Check(pipeline.Spec.Filter); err != nil {
		return Readiness{Reason: v1alpha1.ReasonInvalidFilter, Message: truncate(err.Error())}
	}
	if _, err := ParseWindows(pipeline.Spec.Windows); err != nil {
		return Readiness{Reason: v1alpha1.ReasonInvalidWindow, Message: truncate(err.Error() + "; nothing starts until that is corrected")}
	}
	path := []string{pipeline.Name}
	for ref := pipeline.Spec.ParentRef; ; {
		if ref.Kind == v1alpha1.ParentCiPipeline {
			return rooted(ref, parents)
		}
		if slices.Contains(path, ref.Name) {
			ring := strings.Join(append(path, ref.Name), " -> ")
			return Readiness{Reason: v1alpha1.ReasonParentCycle, Message: truncate("spec.parentRef leads in a ring: " + ring)}
		}
		parent := parents.CdPipeline(ref.Name)
		if parent == nil {
			return missing(ref)
		}
		path = append(path, ref.Name)
		ref = parent.Spec.ParentRef
	}
}

// Root returns the name of the CiPipeline that the pipeline hangs below, however far; empty
// where its parents lead to none.
func Root(pipeline *v1alpha1.CdPipeline, parents Parents) string {
	met := map[string]bool{pipeline.Name: true}
	for ref := pipeline.Spec.ParentRef; ; {
		if ref.Kind == v1alpha1.ParentCiPipeline {
			return ref.Name
		}
		parent := parents.CdPipeline(ref.Name)
		if parent == nil || met[ref.Name] {
			return ""
		}
		met[ref.Name] = true
		ref = parent.Spec.ParentRef
	}
}

func rooted(ref v1alpha1.ParentReference, parents Parents) Readiness {
	if !parents.HasCiPipeline(ref.Name) {
		return missing(ref)
	}
	return Readiness{Ready: true, Reason: v1alpha1.ReasonReady, Message: "triggered by builds of CiPipeline " + ref.Name}
}

func missing(ref v1alpha1.ParentReference) Readiness {
	return Readiness{
		Reason:  v1alpha1.ReasonParentNotFound,
		Message: fmt.Sprintf("%s %q does not exist in this namespace: create it, or correct spec.parentRef", ref.Kind, ref.Name),
	}
}
