package sweep

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// findWorkflows looks, at the API server, for the Workflow of every task that has been
// quiet, and tells the tracker what it finds: the cache may have lost what happened to
// it. What can't be looked for does not keep the others.
func (s *Sweeper) findWorkflows(ctx context.Context) error {
	rows, err := s.quietRows(ctx)
	if err != nil {
		return err
	}
	var errs []error
	missing := map[int64]bool{}
	for namespace, rows := range rows {
		errs = append(errs, s.findWorkflowsIn(ctx, namespace, rows, missing))
	}
	s.missing = missing
	return errors.Join(errs...)
}

// findWorkflowsIn expects that most are simply not finished. Those come in one list;
// only what is not among them is asked for one by one.
func (s *Sweeper) findWorkflowsIn(ctx context.Context, namespace string, rows []store.Active, missing map[int64]bool) error {
	unfinished, err := s.unfinished(ctx, namespace)
	if err != nil {
		s.keepMissing(rows, missing)
		return err
	}
	var errs []error
	for _, row := range rows {
		if workflow, ok := unfinished[row.WorkflowName]; ok {
			s.Tracker.Found(row.Identity, workflow)
			continue
		}
		errs = append(errs, s.findWorkflow(ctx, row, missing))
	}
	return errors.Join(errs...)
}

// keepMissing passes on what the last sweep has found out about tasks that this one
// can't look for.
func (s *Sweeper) keepMissing(rows []store.Active, missing map[int64]bool) {
	for _, row := range rows {
		if s.missing[row.ID] {
			missing[row.ID] = true
		}
	}
}

// quietRows returns the tasks that have been quiet, by namespace.
func (s *Sweeper) quietRows(ctx context.Context) (map[string][]store.Active, error) {
	found := map[string][]store.Active{}
	for after := int64(0); ; {
		rows, err := s.Rows.StaleActive(ctx, quiet, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			after = row.ID
			found[row.Namespace] = append(found[row.Namespace], row)
		}
		if len(rows) < pageSize {
			return found, nil
		}
	}
}

// unfinished returns those of our Workflows in a namespace that have not ended, by
// name.
func (s *Sweeper) unfinished(ctx context.Context, namespace string) (map[string]*metav1.PartialObjectMetadata, error) {
	found := map[string]*metav1.PartialObjectMetadata{}
	for page := argo.Workflows(); ; {
		err := s.list(ctx, page, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: argo.Unfinished()},
			client.Limit(pageSize), client.Continue(page.Continue))
		if err != nil {
			return nil, fmt.Errorf("list unfinished workflows: %w", err)
		}
		for i := range page.Items {
			found[page.Items[i].Name] = &page.Items[i]
		}
		if page.Continue == "" {
			return found, nil
		}
		page.Items = nil
	}
}

func (s *Sweeper) list(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return s.Live.List(ctx, list, options...)
}

// findWorkflow gives a task up at the second sweep in a row that finds nothing: until
// then the watch may still tell how the Workflow ended.
func (s *Sweeper) findWorkflow(ctx context.Context, row store.Active, missing map[int64]bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	workflow := argo.Workflow()
	err := s.Live.Get(ctx, types.NamespacedName{Namespace: row.Namespace, Name: row.WorkflowName}, workflow)
	switch {
	case err == nil:
		s.Tracker.Found(row.Identity, workflow)
	case !apierrors.IsNotFound(err):
		s.keepMissing([]store.Active{row}, missing)
		return fmt.Errorf("get workflow: %w", err)
	case s.missing[row.ID]:
		s.Tracker.Gone(row)
	default:
		missing[row.ID] = true
	}
	return nil
}
