package trigger

import (
	"cmp"
	"slices"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// family is one walk over the descendants of a parent. It meets each pipeline
// once, so that no two decisions are about the same one: pipelines may stand in a
// ring, and a parentRef may change between two lookups.
type family struct {
	children Children
	met      map[string]bool
}

// newFamily starts a walk that never meets the pipelines above it.
func newFamily(children Children, above ...string) *family {
	met := make(map[string]bool, len(above))
	for _, name := range above {
		met[name] = true
	}
	return &family{children: children, met: met}
}

// of returns the children that were not met before, by priority, then name, so
// that equal input gives equal rows.
func (f *family) of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	var fresh []v1alpha1.CdPipeline
	for _, child := range f.children.Of(kind, name) {
		if f.met[child.Name] {
			continue
		}
		f.met[child.Name] = true
		fresh = append(fresh, child)
	}
	slices.SortFunc(fresh, func(a, b v1alpha1.CdPipeline) int {
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), cmp.Compare(a.Name, b.Name))
	})
	return fresh
}
