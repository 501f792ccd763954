package requests

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/holding"
)

const pipelines = "cdpipelines"

// holdAttempts is how often a change is tried that others get ahead of.
const holdAttempts = 5

var (
	// ErrNoToken means that a caller has no token that the API server knows: the server's account
	// has no right to change pipelines.
	ErrNoToken = errors.New("the caller has no token that the API server knows")
	// ErrChanged means that the pipeline is another than the caller has seen.
	ErrChanged = errors.New("the pipeline was changed meanwhile")
)

// Pipeline reads a CdPipeline as the caller. Its errors are the API server's, or ErrNoToken.
func (w *Writer) Pipeline(ctx context.Context, as Caller, namespace, name string) (*v1alpha1.CdPipeline, error) {
	if as.Token == "" {
		return nil, ErrNoToken
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	client, err := w.client(as)
	if err != nil {
		return nil, err
	}
	found := &v1alpha1.CdPipeline{}
	return found, client.Get().Namespace(namespace).Resource(pipelines).Name(name).Do(ctx).Into(found)
}

// Hold changes spec.hold of a CdPipeline as the caller, and returns the pipeline as it is then. One
// that is as wanted already stays as it is. Where seen is not 0, the pipeline has to be of that
// generation, else it is ErrChanged. Other errors are the API server's, or ErrNoToken.
func (w *Writer) Hold(ctx context.Context, as Caller, namespace, name string, seen int64, change holding.Change) (*v1alpha1.CdPipeline, error) {
	var err error
	for range holdAttempts {
		var found *v1alpha1.CdPipeline
		found, err = w.Pipeline(ctx, as, namespace, name)
		switch {
		case err != nil:
			return nil, err
		case found.Spec.Hold == change.Hold:
			return found, nil
		case seen != 0 && seen != found.Generation:
			return nil, ErrChanged
		}
		change.ResourceVersion = found.ResourceVersion
		found, err = w.patch(ctx, as, namespace, name, change)
		if err == nil {
			return found, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, err
		}
	}
	return nil, err
}

func (w *Writer) patch(ctx context.Context, as Caller, namespace, name string, change holding.Change) (*v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	body, err := change.Patch()
	if err != nil {
		return nil, err
	}
	client, err := w.client(as)
	if err != nil {
		return nil, err
	}
	changed := &v1alpha1.CdPipeline{}
	return changed, client.Patch(types.MergePatchType).Namespace(namespace).Resource(pipelines).Name(name).Body(body).Do(ctx).Into(changed)
}
