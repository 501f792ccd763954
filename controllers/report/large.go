package report

import (
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/clip"
)

// cutTo is how much of a status is left after each refusal: bytes of a condition's message,
// which begins with what counts most, and repositories that are deployed, the newest first.
var cutTo = []struct{ message, deployed int }{{1024, 16}, {256, 4}, {64, 0}}

// cuts knows the objects with which the API server refuses to store the whole status, since
// they are too large or their status is.
type cuts map[types.NamespacedName]cut

// cut is how often a status was refused, and the object's version then.
type cut struct {
	refused int
	version string
}

// isTooLarge tells whether a smaller status may be stored where this one is refused, and the
// same never will be. What an admission policy denies, also as invalid, may be stored later.
func isTooLarge(err error) bool {
	if argo.IsByAdmission(err) {
		return false
	}
	return apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsInvalid(err) ||
		strings.Contains(err.Error(), "request is too large") || strings.Contains(err.Error(), "larger than max")
}

// refuse takes note of a refusal. It returns false where nothing is left to be cut: then the
// status is not written until the object changes.
func (c cuts) refuse(key types.NamespacedName, version string) bool {
	refused := min(c[key].refused, len(cutTo)) + 1
	c[key] = cut{refused, version}
	return refused <= len(cutTo)
}

// fit cuts the status of an object whose whole one was refused. It returns false where it is not
// to be written.
func (c cuts) fit(key types.NamespacedName, version string, conditions []metav1.Condition, deployed *[]v1alpha1.Deployed) bool {
	known, refused := c[key]
	switch {
	case !refused:
		return true
	case known.refused > len(cutTo) && known.version == version:
		return false
	case known.refused > len(cutTo):
		delete(c, key) // it has changed since
		return true
	}
	most := cutTo[known.refused-1]
	for i := range conditions {
		conditions[i].Message = clip.Text(conditions[i].Message, most.message)
	}
	if deployed != nil && len(*deployed) > most.deployed {
		*deployed = slices.Clip((*deployed)[:most.deployed])
	}
	return true
}

// more says how many runs ended badly beside those that are named.
func more(named int, triggers v1alpha1.TriggerSummary) string {
	left := int(triggers.Failed+triggers.Cancelled+triggers.Superseded) - named
	if named == 0 || left <= 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more", left)
}
