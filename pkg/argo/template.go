package argo

import (
	"context"
	"errors"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// ErrNotKnown means that it is not known now whether a template exists in another cluster.
var ErrNotKnown = errors.New("the cluster has not been asked for the template yet, or does not answer")

// The kinds of template.
const (
	KindTemplate        = "WorkflowTemplate"
	KindClusterTemplate = "ClusterWorkflowTemplate"
)

// Template returns an empty template of kind WorkflowTemplate or ClusterWorkflowTemplate. It
// is unstructured, since Argo's CRDs take templates that its Go types do not: one of them
// would keep all others from being read.
func Template(kind string) *unstructured.Unstructured {
	template := &unstructured.Unstructured{}
	template.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind(kind))
	return template
}

// TrimTemplate keeps of a template that it exists, the parameters that it declares, and its
// ttlStrategy.
func TrimTemplate(object any) (any, error) {
	template, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil // a deleted object's name, which client-go passes on
	}
	trimmed := Template(template.GetKind())
	trimmed.SetNamespace(template.GetNamespace())
	trimmed.SetName(template.GetName())
	trimmed.SetUID(template.GetUID())
	trimmed.SetResourceVersion(template.GetResourceVersion())
	parameters := declaredIn(template)
	for _, one := range parameters {
		if parameter, isObject := one.(map[string]any); isObject {
			delete(parameter, "description")
		}
	}
	spec := map[string]any{}
	if len(parameters) > 0 {
		spec["arguments"] = map[string]any{"parameters": parameters}
	}
	if strategy, found, _ := unstructured.NestedFieldNoCopy(template.Object, "spec", "ttlStrategy"); found {
		spec["ttlStrategy"] = strategy
	}
	if len(spec) > 0 {
		trimmed.Object["spec"] = spec
	}
	return trimmed, nil
}

// TemplateKey returns the kind and the key of the template that a reference in the namespace
// names.
func TemplateKey(namespace string, ref v1alpha1.TemplateReference) (kind string, key types.NamespacedName) {
	if ref.ClusterScope {
		return KindClusterTemplate, types.NamespacedName{Name: ref.Name}
	}
	return KindTemplate, types.NamespacedName{Namespace: namespace, Name: ref.Name}
}

// findTemplate returns the template, or nil where the reader does not have it.
func findTemplate(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.TemplateReference) (*unstructured.Unstructured, error) {
	kind, key := TemplateKey(namespace, ref)
	template := Template(kind)
	err := reader.Get(ctx, key, template)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", kind, err)
	}
	return template, nil
}

// TemplateHold returns what holds a stage that runs this template in a TargetCluster, or at home
// where that is empty; none where the reader has it.
func TemplateHold(ctx context.Context, reader client.Reader, cluster, namespace string, ref v1alpha1.TemplateReference) (trigger.Hold, error) {
	template, err := findTemplate(ctx, reader, namespace, ref)
	if err != nil || template != nil {
		return trigger.Hold{}, err
	}
	return missingTemplate(cluster, ref), nil
}

func missingTemplate(cluster string, ref v1alpha1.TemplateReference) trigger.Hold {
	kind, _ := TemplateKey("", ref)
	where := ""
	if cluster != "" {
		where = " in TargetCluster " + cluster
	}
	return trigger.Hold{
		Reason:  v1alpha1.ReasonTemplate,
		Message: fmt.Sprintf("%s %s does not exist%s: create it, or correct workflow.templateRef, and the stage goes on", kind, ref.Name, where),
	}
}
