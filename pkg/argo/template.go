package argo

import (
	"context"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// The kinds of template.
const (
	KindTemplate        = "WorkflowTemplate"
	KindClusterTemplate = "ClusterWorkflowTemplate"
)

// Template returns an empty template, of which only the metadata is known, of kind
// WorkflowTemplate or ClusterWorkflowTemplate.
func Template(kind string) *metav1.PartialObjectMetadata {
	template := &metav1.PartialObjectMetadata{}
	template.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind(kind))
	return template
}

// TrimTemplate keeps of a template only that it exists: kubectl apply leaves the whole
// manifest in an annotation.
func TrimTemplate(object any) (any, error) {
	if template, ok := object.(*metav1.PartialObjectMetadata); ok {
		template.Labels, template.Annotations, template.ManagedFields = nil, nil, nil
	}
	return object, nil
}

// TemplateKey returns the kind and the key of the template that a reference in the namespace
// names.
func TemplateKey(namespace string, ref v1alpha1.TemplateReference) (kind string, key types.NamespacedName) {
	if ref.ClusterScope {
		return KindClusterTemplate, types.NamespacedName{Name: ref.Name}
	}
	return KindTemplate, types.NamespacedName{Namespace: namespace, Name: ref.Name}
}

// HasTemplate tells whether the reader has the template.
func HasTemplate(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.TemplateReference) (bool, error) {
	kind, key := TemplateKey(namespace, ref)
	err := reader.Get(ctx, key, Template(kind))
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get %s: %w", kind, err)
	}
	return true, nil
}

// TemplateHold returns what holds a stage that runs this template; none where the reader
// has it.
func TemplateHold(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.TemplateReference) (trigger.Hold, error) {
	exists, err := HasTemplate(ctx, reader, namespace, ref)
	if err != nil || exists {
		return trigger.Hold{}, err
	}
	return missingTemplate(namespace, ref), nil
}

// missingTemplate is what holds a stage whose template does not exist.
func missingTemplate(namespace string, ref v1alpha1.TemplateReference) trigger.Hold {
	kind, key := TemplateKey(namespace, ref)
	return trigger.Hold{
		Reason:  v1alpha1.ReasonTemplate,
		Message: fmt.Sprintf("%s %s does not exist: create it, or correct workflow.templateRef, and the stage goes on", kind, key.Name),
	}
}
