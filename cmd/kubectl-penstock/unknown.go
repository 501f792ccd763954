package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// unknown is the error that an object does not exist. It names the nearest that does, where
// the user may list them.
func (p *caller) unknown(ctx context.Context, kind, name string) error {
	names, err := p.names(ctx, kind)
	if near := nearest(name, names); err == nil && near != "" {
		return fmt.Errorf("there is no %s %q in namespace %s: did you mean %q?", kind, name, p.namespace, near)
	}
	return fmt.Errorf("there is no %s %q in namespace %s: kubectl get %ss -n %s lists them", kind, name, p.namespace, strings.ToLower(kind), p.namespace)
}

// maxNames is how many names are read of one kind.
const maxNames = 1000

// names are those of the objects of a kind in the namespace.
func (p *caller) names(ctx context.Context, kind string) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
	if err := p.cluster.List(ctx, list, client.InNamespace(p.namespace), client.Limit(maxNames)); err != nil {
		return nil, fmt.Errorf("list %ss: %w", kind, err)
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}
