package argo

import (
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// addTTL has Argo delete the Workflow some time after its end, in whole seconds, unless the
// time is zero or its template has a ttlStrategy: a Workflow's own would replace the
// template's as a whole (Argo's GetTTLStrategy).
func addTTL(workflow *wfv1.Workflow, after time.Duration, template *unstructured.Unstructured) {
	strategy, _, _ := unstructured.NestedFieldNoCopy(template.Object, "spec", "ttlStrategy")
	if after <= 0 || strategy != nil {
		return
	}
	seconds := int32(after / time.Second) //nolint:gosec // pkg/config bounds it at ten years
	workflow.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To(seconds)}
}
