package v1alpha1_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

// local is an API server with the CRDs of config/crd/bases.
var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{WithoutPostgres: true}, &local))
}

// place is a namespace of one test, and a client of an administrator.
type place struct {
	client.Client
	namespace string
}

func newPlace(t *testing.T) place {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	admin, err := client.New(local.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	return place{Client: admin, namespace: local.NewNamespace(t)}
}

// create creates the object in the place, whatever its own namespace.
func (p place) create(t *testing.T, object client.Object) error {
	t.Helper()
	object.SetNamespace(p.namespace)
	return p.Create(t.Context(), object)
}

// patch sends a JSON merge patch, as `kubectl patch --type=merge` does.
func (p place) patch(t *testing.T, object client.Object, patch string) error {
	t.Helper()
	return p.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// patchStatus does the same to the status, as with --subresource=status.
func (p place) patchStatus(t *testing.T, object client.Object, patch string) error {
	t.Helper()
	return p.Status().Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// without is the object as YAML that lacks a field: Go writes an empty one.
func without(t *testing.T, object runtime.Object, field ...string) *unstructured.Unstructured {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	require.NoError(t, err)
	unstructured.RemoveNestedField(content, field...)
	return &unstructured.Unstructured{Object: content}
}

// requireAdmission checks for the message that a user reads; empty means that the
// request is accepted.
func requireAdmission(t *testing.T, refusal string, err error) {
	t.Helper()
	if refusal == "" {
		require.NoError(t, err)
		return
	}
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.Contains(t, err.Error(), refusal)
}
