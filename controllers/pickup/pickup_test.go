package pickup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// rows are tasks in memory.
type rows struct {
	tasks []store.Submitted
	marks []store.Pickup
	err   error
}

func (r *rows) Submitted(_ context.Context, _ time.Duration, after int64, most int) ([]store.Submitted, error) {
	var page []store.Submitted
	for _, task := range r.tasks {
		if task.ID > after && len(page) < most {
			page = append(page, task)
		}
	}
	return page, r.err
}

func (r *rows) MarkPickup(_ context.Context, pickups []store.Pickup) ([]store.Moved, error) {
	r.marks = append(r.marks, pickups...)
	return make([]store.Moved, len(pickups)), nil
}

// shows is a cache with one Workflow, or none.
type shows struct {
	client.Reader
	workflow *metav1.PartialObjectMetadata
	err      error
}

func (s shows) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if s.err != nil {
		return s.err
	}
	if s.workflow == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "workflows"}, key.Name)
	}
	s.workflow.DeepCopyInto(into.(*metav1.PartialObjectMetadata))
	return nil
}

func workflow(phase string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.UID = "uid"
	if phase != "" {
		object.Labels = map[string]string{"workflows.argoproj.io/phase": phase}
	}
	return object
}

// The metric is of the process, so that these tests take turns.
func TestAWorkflowWithoutAPhaseIsToldOf(t *testing.T) {
	going := workflow("")
	going.DeletionTimestamp = ptr.To(metav1.Now())
	for sentence, tc := range map[string]struct {
		workflow *metav1.PartialObjectMetadata
		uid      string
		was      bool
		reasons  []v1alpha1.Reason // that are noted
		waiting  float64
	}{
		"one that nobody takes up":                         {workflow(""), "uid", false, []v1alpha1.Reason{v1alpha1.ReasonNotTakenUp}, 1},
		"one whose UID is not known yet":                   {workflow(""), "", false, []v1alpha1.Reason{v1alpha1.ReasonNotTakenUp}, 1},
		"one of which that is known":                       {workflow(""), "uid", true, nil, 1},
		"one that was taken up after all":                  {workflow("Running"), "uid", true, []v1alpha1.Reason{""}, 0},
		"one that Argo has wait for its parallelism":       {workflow("Pending"), "uid", false, nil, 0},
		"one that runs, which the tracker is about to see": {workflow("Running"), "uid", false, nil, 0},
		"one that is about to go":                          {going, "uid", false, nil, 0},
		"another of its name":                              {workflow(""), "another", false, nil, 0},
		"one that is gone":                                 {nil, "uid", false, nil, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := &rows{tasks: []store.Submitted{{ID: 7, Namespace: "team", WorkflowName: "web-deploy-1", WorkflowUID: tc.uid, NotTakenUp: tc.was}}}
			told := 0
			w := New(Config{
				Rows: r, Cache: shows{workflow: tc.workflow}, Timeout: 2 * time.Minute, Log: logr.Discard(),
				Moved: func(moved []store.Moved) { told += len(moved) },
			})
			_, err := w.runOnce(t.Context())
			require.NoError(t, err)
			require.Equal(t, len(tc.reasons), told)
			require.Len(t, r.marks, len(tc.reasons))
			for i, reason := range tc.reasons {
				require.Equal(t, reason, r.marks[i].Reason)
				if reason != "" {
					require.Contains(t, r.marks[i].Message, "Workflow web-deploy-1 was not taken up by any Argo controller within 2m0s")
				}
			}
			require.InDelta(t, tc.waiting, testutil.ToFloat64(notTakenUp), 0)
		})
	}
}

func TestAllPagesAreLookedAt(t *testing.T) {
	r := &rows{}
	for id := range int64(pageSize + 1) {
		r.tasks = append(r.tasks, store.Submitted{ID: id + 1, WorkflowUID: "uid"})
	}
	w := New(Config{Rows: r, Cache: shows{workflow: workflow("")}, Timeout: time.Minute, Log: logr.Discard(), Moved: func([]store.Moved) {}})
	_, err := w.runOnce(t.Context())
	require.NoError(t, err)
	require.Len(t, r.marks, pageSize+1)
	require.InDelta(t, pageSize+1, testutil.ToFloat64(notTakenUp), 0)
}

func TestAnErrorLeavesTheFigureAsItWas(t *testing.T) {
	notTakenUp.Set(3)
	for _, config := range []Config{
		{Rows: &rows{err: errors.New("database is down")}, Cache: shows{}},
		{Rows: &rows{tasks: []store.Submitted{{ID: 1}}}, Cache: shows{err: errors.New("cache is not synced")}},
	} {
		config.Timeout = time.Minute
		_, err := New(config).runOnce(t.Context())
		require.Error(t, err)
		require.InDelta(t, 3, testutil.ToFloat64(notTakenUp), 0)
	}
}
