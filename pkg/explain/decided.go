package explain

import (
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Rule is the rule by which something is decided for a reason.
func Rule(reason v1alpha1.Reason) string {
	return strings.ReplaceAll(of(decisions, reason).Meaning, "`", "")
}

// Decided says what was decided for a pipeline, in the words of the decision itself.
func Decided(d rest.Decision) string {
	if d.Outcome == d.Reason {
		return fmt.Sprintf("%s %s", d.Outcome, d.Message)
	}
	return fmt.Sprintf("%s, %s: %s", d.Outcome, d.Reason, d.Message)
}

// undecided says why nothing was decided for a pipeline.
func undecided(f Facts) string {
	switch {
	case f.Parent.Name == "":
		return "nothing was decided for it yet: the controller has not seen the pipeline"
	case !f.Parent.Exists:
		return fmt.Sprintf("nothing was decided for it yet: its parent, %s %s, does not exist: create it, or correct spec.parentRef", f.Parent.Kind, f.Parent.Name)
	case f.Parent.Kind == string(v1alpha1.ParentCdPipeline):
		return fmt.Sprintf("nothing was decided for it yet: no build has come to %s %s since the pipeline exists, or its history was deleted", f.Parent.Kind, f.Parent.Name)
	default:
		return fmt.Sprintf("nothing was decided for it yet: no build of %s %s has ended since the pipeline exists, or its history was deleted", f.Parent.Kind, f.Parent.Name)
	}
}
