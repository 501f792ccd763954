package track

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

const giveBack = `{"metadata":{"labels":{"app.kubernetes.io/managed-by":"penstock","penstock.dev/identity":"abc"}}}`

// labelled changes the labels of a Workflow, as its template may.
func labelled(phase, manager, identity string) *metav1.PartialObjectMetadata {
	object := workflow(phase)
	object.Labels[v1alpha1.LabelManagedBy], object.Labels[v1alpha1.LabelIdentity] = manager, identity
	return object
}

func TestAWorkflowThatLeavesTheWatchIsLookedFor(t *testing.T) {
	t.Parallel()
	other := workflow("Running")
	other.UID = given.UID("another")
	for sentence, tc := range map[string]struct {
		exists  *metav1.PartialObjectMetadata
		down    int
		status  store.Status
		reason  v1alpha1.Reason
		patches []string
	}{
		"one that is gone was deleted":                                  {nil, 0, store.StatusError, v1alpha1.ReasonWorkflowDeleted, nil},
		"one of the same name that was made later is another":           {other, 0, store.StatusError, v1alpha1.ReasonWorkflowDeleted, nil},
		"one with another manager gets its labels back and is followed": {labelled("Running", "Helm", "abc"), 0, store.StatusRunning, "", []string{giveBack}},
		"one with another identity too":                                 {labelled("Running", "penstock", "x"), 0, store.StatusRunning, "", []string{giveBack}},
		"one that has succeeded meanwhile has":                          {labelled("Succeeded", "Helm", "abc"), 0, store.StatusSucceeded, "", []string{giveBack}},
		"one that has its labels again is left alone":                   {workflow("Running"), 0, store.StatusRunning, "", nil},
		"one is looked for until the API server answers":                {labelled("Running", "Helm", "abc"), 3, store.StatusRunning, "", []string{giveBack}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				k.cluster.workflow, k.cluster.down = tc.exists, tc.down
				k.run(t, func() {
					k.OnDelete(workflow("Running"))
					for range 6 {
						settle()
					}
				})
				require.Len(t, k.rows.batches, 1)
				require.Len(t, k.rows.batches[0], 1)
				seen := k.rows.batches[0][0]
				require.Equal(t, tc.status, seen.Status)
				require.Equal(t, tc.reason, seen.Reason)
				require.Equal(t, "abc", seen.Identity)
				require.Equal(t, tc.patches, k.cluster.patches)
			})
		})
	}
}

func TestAWorkflowThatASweepFindsWithoutItsLabelsGetsThemBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.cluster.workflow = labelled("Running", "Helm", "x")
		k.run(t, func() {
			k.Found("abc", k.cluster.workflow)
			settle()
		})
		require.Equal(t, []string{giveBack}, k.cluster.patches)
		require.Equal(t, []store.Status{store.StatusRunning}, k.rows.statuses())
	})
}
