package v1alpha1_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// As docs/reporting-builds.md says: each job applies its own artifact, and the last one ends
// the build.
func TestJobsThatRunBesideEachOtherKeepEachOthersArtifacts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	build := given.CiBuild("b1")
	require.NoError(t, p.create(t, build))
	for job, artifact := range given.Artifacts(3) {
		status := fmt.Appendf(nil, `{"apiVersion":"penstock.dev/v1alpha1","kind":"CiBuild","metadata":{"name":"b1","namespace":%q},
			"status":{"artifacts":[{"image":%q,"digest":%q}]}}`, p.namespace, artifact.Image, artifact.Digest)
		applied := given.CiBuild("b1")
		applied.Namespace = p.namespace
		err := p.Status().Patch(t.Context(), applied, client.RawPatch(types.ApplyPatchType, status), client.FieldOwner(fmt.Sprintf("job-%d", job)))
		require.NoError(t, err)
	}
	require.NoError(t, p.patchStatus(t, build, `{"status":{"phase":"Succeeded"}}`))
	ended := &v1alpha1.CiBuild{}
	require.NoError(t, p.Get(t.Context(), client.ObjectKeyFromObject(build), ended))
	require.Equal(t, v1alpha1.BuildSucceeded, ended.Status.Phase)
	require.ElementsMatch(t, given.Artifacts(3), ended.Status.Artifacts)
}
