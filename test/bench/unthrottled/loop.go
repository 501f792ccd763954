package unthrottled

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	workflows "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/bench/workload"
)

// loop creates Workflows with client-go and does nothing else.
type loop struct{ client workflows.WorkflowInterface }

func newLoop(config *rest.Config, namespace string) (*loop, error) {
	client, err := workflows.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	return &loop{client: client.Workflows(namespace)}, nil
}

// run creates the workload's Workflows, which are built before the clock starts.
func (l *loop) run(ctx context.Context, n int, load workload.Workload) (time.Duration, error) {
	queue := make(chan *wfv1.Workflow, load.Triggers())
	for _, trigger := range load.List() {
		workflow, err := trigger.Workflow()
		if err != nil {
			return 0, fmt.Errorf("build workflow: %w", err)
		}
		queue <- workflow
	}
	close(queue)
	errs := make([]error, n)
	began := time.Now()
	var loops sync.WaitGroup
	for i := range n {
		loops.Go(func() { errs[i] = l.createAll(ctx, queue) })
	}
	loops.Wait()
	return time.Since(began), errors.Join(errs...)
}

func (l *loop) createAll(ctx context.Context, queue <-chan *wfv1.Workflow) error {
	for workflow := range queue {
		if err := l.create(ctx, workflow); err != nil {
			return err
		}
	}
	return nil
}

// create has the timeout that Penstock's creates have.
func (l *loop) create(ctx context.Context, workflow *wfv1.Workflow) error {
	ctx, cancel := context.WithTimeout(ctx, argo.RequestTimeout)
	defer cancel()
	_, err := l.client.Create(ctx, workflow, metav1.CreateOptions{})
	return err
}
