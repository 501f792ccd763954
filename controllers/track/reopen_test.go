package track

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// keep is the patch that gives a Workflow our finalizer back.
const keep = `{"metadata":{"finalizers":["penstock.dev/recorded"],"resourceVersion":"7"}}`

func TestARunFollowsAWorkflowThatIsRetriedAfterItsEnd(t *testing.T) {
	t.Parallel()
	kept := workflow("Running")
	kept.Finalizers = []string{v1alpha1.FinalizerRecorded}
	going, other := workflow("Running"), workflow("Running")
	going.DeletionTimestamp, other.UID = ptr.To(metav1.Now()), given.UID("another")
	for sentence, tc := range map[string]struct {
		ended    string
		seen     string
		live     *metav1.PartialObjectMetadata
		down     int
		reopened bool
		patches  []string
		last     store.Status // that is observed
	}{
		"one that goes on is kept until its next end": {"Failed", "Running", workflow("Running"), 0, true, []string{keep}, store.StatusRunning},
		"one that has our finalizer keeps it":         {"Failed", "Running", kept, 0, true, nil, store.StatusRunning},
		"one that succeeded can be retried too":       {"Succeeded", "Running", workflow("Running"), 0, true, []string{keep}, store.StatusRunning},
		"one that has ended anew meanwhile":           {"Failed", "Running", workflow("Succeeded"), 0, true, nil, store.StatusSucceeded},
		"one of which only the new end is seen":       {"Failed", "Succeeded", workflow("Succeeded"), 0, true, nil, store.StatusSucceeded},
		"one that was seen out of date was not":       {"Failed", "Running", workflow("Failed"), 0, false, nil, store.StatusFailed},
		"one that is gone was not":                    {"Failed", "Running", nil, 0, false, nil, store.StatusRunning},
		"one that is about to go was not":             {"Failed", "Running", going, 0, false, nil, store.StatusRunning},
		"another one of its name is another":          {"Failed", "Running", other, 0, false, nil, store.StatusRunning},
		"one that has not ended was not":              {"", "Running", workflow("Running"), 0, false, nil, store.StatusRunning},
		"one is looked at until the API server answers": {
			"Failed", "Running", workflow("Running"), 3, true, []string{keep}, store.StatusRunning,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				k.rows.ended, k.cluster.workflow, k.cluster.down = tc.ended, tc.live, tc.down
				if tc.live != nil {
					tc.live.ResourceVersion = "7"
				}
				k.run(t, func() {
					k.OnUpdate(workflow(tc.ended), workflow(tc.seen))
					for range 8 {
						settle()
					}
				})
				require.Equal(t, tc.reopened, len(k.rows.reopens) == 1)
				statuses := k.rows.statuses()
				require.Equal(t, tc.last, statuses[len(statuses)-1])
				require.Len(t, k.cluster.patches, len(tc.patches))
				for i, patch := range tc.patches {
					require.JSONEq(t, patch, k.cluster.patches[i])
				}
				if tc.reopened {
					require.Equal(t, "Workflow web-deploy-1 was retried in Argo", k.rows.reopens[0].Message)
					require.Contains(t, <-k.events.Events, "Normal WorkflowRetried the run of build ")
				}
			})
		})
	}
}

// What waits to be committed is its end; that it was seen to run afterwards is not lost.
func TestAWorkflowThatIsRetriedBeforeItsEndIsCommittedIsLookedInto(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.OnUpdate(workflow("Running"), workflow("Failed"))
		k.OnUpdate(workflow("Failed"), workflow("Running"))
		k.rows.ended = "Failed"
		k.cluster.workflow = workflow("Running")
		k.cluster.workflow.ResourceVersion = "7"
		k.run(t, func() {
			settle()
			settle()
		})
		require.Len(t, k.rows.reopens, 1)
		require.Equal(t, []store.Status{store.StatusFailed, store.StatusRunning}, k.rows.statuses())
	})
}

func TestWhatEndedAsItIsSeenCostsNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newTracking()
		k.rows.ended = "Failed"
		k.cluster.workflow = workflow("Failed")
		k.run(t, func() {
			k.OnAdd(workflow("Failed"), true)
			settle()
		})
		require.Zero(t, k.cluster.gets)
	})
}

func TestAStageSaysInArgosWordsWhyItsWorkflowFailed(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		phase   string
		unended bool
		words   string
		gets    int
		want    string
	}{
		"one that was terminated":            {"Failed", true, "Stopped with strategy 'Terminate'", 1, "Workflow web-deploy-1 ended as Failed: Stopped with strategy 'Terminate': kubectl"},
		"one that ended in error":            {"Error", true, "invalid spec", 1, "Workflow web-deploy-1 ended as Error: invalid spec: kubectl"},
		"one of which Argo says nothing":     {"Failed", true, "", 1, "Workflow web-deploy-1 ended as Failed: kubectl"},
		"one that succeeded needs no words":  {"Succeeded", true, "well done", 0, ""},
		"one whose task has ended has words": {"Failed", false, "no child with status code 0", 0, "Workflow web-deploy-1 ended as Failed: kubectl"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newTracking()
				k.rows.unended = tc.unended
				k.cluster.workflow, k.cluster.words = workflow(tc.phase), tc.words
				k.run(t, func() {
					k.OnUpdate(workflow("Running"), workflow(tc.phase))
					time.Sleep(time.Second)
					synctest.Wait()
				})
				require.Equal(t, tc.gets, k.cluster.gets)
				require.Contains(t, k.rows.batches[0][0].Message, tc.want)
			})
		})
	}
}
