package release

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
)

// releaseOne believes the cache, unless the API server says that it is out of date.
func (r *Releaser) releaseOne(ctx context.Context, writer client.Writer, name types.NamespacedName) error {
	err := releaseAs(ctx, r.Cache, writer, name)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		err = releaseAs(ctx, r.Live, writer, name)
	}
	return client.IgnoreNotFound(err)
}

// releaseAs takes the finalizer off the Workflow as the reader has it, and no other's.
func releaseAs(ctx context.Context, reader client.Reader, writer client.Writer, name types.NamespacedName) error {
	workflow := argo.Workflow()
	if err := reader.Get(ctx, name, workflow); err != nil {
		return fmt.Errorf("get workflow: %w", err)
	}
	if !argo.HasEnded(workflow) && workflow.GetDeletionTimestamp() == nil {
		return nil // it was retried in Argo: its next end is to be recorded as well
	}
	released := workflow.DeepCopy()
	if !controllerutil.RemoveFinalizer(released, v1alpha1.FinalizerRecorded) {
		return nil
	}
	patch := client.MergeFromWithOptions(workflow, client.MergeFromWithOptimisticLock{})
	if err := writer.Patch(ctx, released, patch); err != nil {
		return fmt.Errorf("patch workflow: %w", err)
	}
	return nil
}
