package env

import (
	"errors"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// NewClient returns a client of user that knows Kubernetes' own kinds, Argo's and
// Penstock's. It has no cache and no rate limit.
func (e *Environment) NewClient(user User) (client.WithWatch, error) {
	known := runtime.NewScheme()
	err := errors.Join(scheme.AddToScheme(known), v1alpha1.AddToScheme(known), wfv1.AddToScheme(known))
	if err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	made, err := client.NewWithWatch(e.ConfigFor(user), client.Options{Scheme: known})
	if err != nil {
		return nil, fmt.Errorf("create client of %s: %w", user, err)
	}
	return made, nil
}
