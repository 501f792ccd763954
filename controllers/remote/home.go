package remote

import (
	"context"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get

// HomeUID returns a function that returns the UID of the reader's cluster, and asks for it once.
func HomeUID(live client.Reader) func(context.Context) (string, error) {
	var known atomic.Pointer[string]
	return func(ctx context.Context) (string, error) {
		if uid := known.Load(); uid != nil {
			return *uid, nil
		}
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		namespace := &metav1.PartialObjectMetadata{}
		namespace.APIVersion, namespace.Kind = "v1", "Namespace"
		if err := live.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, namespace); err != nil {
			return "", err
		}
		uid := string(namespace.UID)
		known.Store(&uid)
		return uid, nil
	}
}
