package env

import (
	"context"
	"errors"
	"fmt"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// NewClient returns a client of user that knows Kubernetes' own kinds, Argo's and
// Penstock's. It has no cache and no rate limit.
func (e *Environment) NewClient(user User) (client.WithWatch, error) {
	known, err := newScheme()
	if err != nil {
		return nil, err
	}
	made, err := client.NewWithWatch(e.ConfigFor(user), client.Options{Scheme: known})
	if err != nil {
		return nil, fmt.Errorf("create client of %s: %w", user, err)
	}
	return made, nil
}

// NewCache returns a cache of all namespaces that has what index asks for, and ends
// with the test.
func (e *Environment) NewCache(t testing.TB, index func(context.Context, client.FieldIndexer) error) cache.Cache {
	t.Helper()
	known, err := newScheme()
	require.NoError(t, err)
	made, err := cache.New(e.ConfigFor(Admin), cache.Options{Scheme: known})
	require.NoError(t, err)
	require.NoError(t, index(t.Context(), made))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- made.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	require.True(t, made.WaitForCacheSync(t.Context()))
	return made
}

func newScheme() (*runtime.Scheme, error) {
	known := runtime.NewScheme()
	err := errors.Join(scheme.AddToScheme(known), v1alpha1.AddToScheme(known), wfv1.AddToScheme(known))
	if err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	return known, nil
}
