// Package holding says how spec.hold of a CdPipeline is changed in a person's name.
package holding

import (
	"encoding/json"
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Change is what a person wants of spec.hold.
type Change struct {
	Hold bool
	// By and Reason are kept beside it; empty takes those away that were there before.
	By, Reason string
	// ResourceVersion is the only version that is changed; empty is any.
	ResourceVersion string
}

// Patch is a merge patch: an annotation that is null is taken away.
func (c Change) Patch() ([]byte, error) {
	annotations := map[string]any{v1alpha1.AnnotationHoldBy: nil, v1alpha1.AnnotationHoldReason: nil}
	if c.By != "" {
		annotations[v1alpha1.AnnotationHoldBy] = c.By
	}
	if c.Reason != "" {
		annotations[v1alpha1.AnnotationHoldReason] = c.Reason
	}
	metadata := map[string]any{"annotations": annotations}
	if c.ResourceVersion != "" {
		metadata["resourceVersion"] = c.ResourceVersion
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "spec": map[string]any{"hold": c.Hold}})
	if err != nil {
		return nil, fmt.Errorf("encode the patch: %w", err)
	}
	return patch, nil
}
