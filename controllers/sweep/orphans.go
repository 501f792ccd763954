package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=patch

// settled is how old a Workflow must be to be taken for an orphan: until then the task may
// not have heard of it.
const settled = time.Minute

var orphans = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "penstock_orphans_stopped_total",
	Help: "Workflows that were stopped because their task had ended without them.",
})

func init() { metrics.Registry.MustRegister(orphans) }

// stopOrphans stops Workflows that were made after their task had ended, such as by a
// process that was paused. They would run what somebody cancelled. One whose task has ended
// with it was retried in Argo: the tracker looks into that. One without a task is adopted.
func (s *Sweeper) stopOrphans(ctx context.Context) error {
	names, unended, err := s.unended(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for first := 0; first < len(names); first += pageSize {
		some := names[first:min(first+pageSize, len(names))]
		page, err := s.Rows.Orphans(ctx, some)
		if err != nil {
			return err
		}
		errs = append(errs, s.adoptUnknown(ctx, some, unended))
		for _, orphan := range page {
			if orphan.HadWorkflow {
				s.Tracker.Found(orphan.Identity, unended[types.NamespacedName{Namespace: orphan.Namespace, Name: orphan.WorkflowName}])
				continue
			}
			errs = append(errs, s.stopOrphan(ctx, orphan))
		}
	}
	return errors.Join(errs...)
}

// unended returns our Workflows that have not ended. The list of all is as large as a part of the
// cache, and is not kept while the database is asked.
func (s *Sweeper) unended(ctx context.Context) ([]types.NamespacedName, map[types.NamespacedName]*metav1.PartialObjectMetadata, error) {
	list := argo.Workflows()
	if err := s.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, fmt.Errorf("list Workflows: %w", err)
	}
	var names []types.NamespacedName
	unended := map[types.NamespacedName]*metav1.PartialObjectMetadata{}
	for i := range list.Items {
		if workflow := &list.Items[i]; mayBeOrphan(workflow, time.Now()) {
			name := client.ObjectKeyFromObject(workflow)
			names, unended[name] = append(names, name), workflow.DeepCopy()
		}
	}
	return names, unended, nil
}

func mayBeOrphan(workflow *metav1.PartialObjectMetadata, now time.Time) bool {
	return !argo.HasEnded(workflow) && workflow.DeletionTimestamp == nil && now.Sub(workflow.CreationTimestamp.Time) > settled
}

func (s *Sweeper) stopOrphan(ctx context.Context, orphan store.Orphan) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	name := types.NamespacedName{Namespace: orphan.Namespace, Name: orphan.WorkflowName}
	workflow := argo.Workflow()
	if err := s.Live.Get(ctx, name, workflow); err != nil {
		return client.IgnoreNotFound(err)
	}
	if argo.HasEnded(workflow) {
		return nil
	}
	if err := argo.Stop(ctx, s.Writer, name); err != nil {
		return client.IgnoreNotFound(err)
	}
	orphans.Inc()
	s.Log.Info("stopped a workflow whose task had ended without it", "workflow", name.Name, "namespace", name.Namespace, "task", orphan.Status)
	s.Events.Eventf(workflow, nil, corev1.EventTypeWarning, "Orphaned", "Stop",
		"Penstock stops this Workflow: its task had ended as %s before it was created", orphan.Status)
	return nil
}
