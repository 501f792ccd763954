package wave

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/request"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages,verbs=get

// RequestRows is what requests about waves write.
type RequestRows interface {
	// ResumeWave lets the newest wave of an image go on that has stopped.
	ResumeWave(ctx context.Context, request store.Request, imageUID, name string) (store.Answer, error)
	// CancelWave gives it up.
	CancelWave(ctx context.Context, request store.Request, imageUID, name string) (store.Answer, error)
}

// Target carries out RunRequests about the waves of BaseImages.
type Target struct {
	// Live reads BaseImages at the API server.
	Live client.Reader
	Rows RequestRows
}

var _ request.Target = Target{}

// CarryOut implements request.Target.
func (t Target) CarryOut(ctx context.Context, object *v1alpha1.RunRequest, asked store.Request) (store.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	image := &v1alpha1.BaseImage{}
	err := t.Live.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.Target.Name}, image)
	switch {
	case apierrors.IsNotFound(err):
		return store.Answer{}, request.Refuse("BaseImage %s does not exist in namespace %s", object.Spec.Target.Name, object.Namespace)
	case err != nil:
		return store.Answer{}, fmt.Errorf("get BaseImage: %w", err)
	case object.Spec.Action == v1alpha1.ActionResume:
		return t.Rows.ResumeWave(ctx, asked, string(image.UID), image.Name)
	default:
		return t.Rows.CancelWave(ctx, asked, string(image.UID), image.Name)
	}
}
