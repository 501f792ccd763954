package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// creators is how many builds of one delivery are created at once; createTimeout bounds one
	// request, waiting for the API's token bucket included.
	creators, createTimeout = 4, 30 * time.Second
	// maxBy and maxMessage are what a CiBuild's cause takes, in bytes.
	maxBy, maxMessage = 253, 1024
)

// buildOf is the build of a pipeline that a delivery makes. Its name is a function of the two, so
// that the same delivery makes it once.
func buildOf(j job, pipeline *v1alpha1.CiPipeline, revision, ref string) *v1alpha1.CiBuild {
	name, hash := trigger.BuildName(pipeline.Name, string(pipeline.UID), string(j.delivery.ReceiverUID), j.delivery.Origin)
	return &v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: j.delivery.Namespace, Name: name,
			Labels:      map[string]string{v1alpha1.LabelIdentity: hash},
			Annotations: map[string]string{v1alpha1.AnnotationDelivery: strconv.FormatInt(j.delivery.ID, 10)},
		},
		Spec: v1alpha1.CiBuildSpec{
			PipelineRef: v1alpha1.PipelineReference{Name: pipeline.Name}, Revision: revision, Ref: ref,
			Cause: &v1alpha1.BuildCause{
				Type: v1alpha1.CauseWebhook, By: clip.Text("receiver/"+j.receiver.Name, maxBy),
				Message: clip.Text(fmt.Sprintf("%s, delivery %d", j.event.Name, j.delivery.ID), maxMessage),
			},
		},
	}
}

// create makes a build, and returns its name. One that was made before for the same delivery is
// that build.
func (w *Worker) create(ctx context.Context, j job, build *v1alpha1.CiBuild) (string, error) {
	failpoint.Hit(failpoint.DeliveryBeforeCreate)
	err := w.Writer.Create(ctx, build)
	if apierrors.IsAlreadyExists(err) {
		return w.existing(ctx, build)
	}
	if err != nil {
		return "", fmt.Errorf("create CiBuild %s: %w", build.Name, err)
	}
	failpoint.Hit(failpoint.DeliveryAfterCreate)
	w.Log.Info("created a build", "namespace", build.Namespace, "build", build.Name, "receiver", j.receiver.Name, "delivery", j.delivery.ID)
	return build.Name, nil
}

func (w *Worker) existing(ctx context.Context, build *v1alpha1.CiBuild) (string, error) {
	var found v1alpha1.CiBuild
	if err := w.Live.Get(ctx, client.ObjectKeyFromObject(build), &found); err != nil {
		return "", fmt.Errorf("get CiBuild %s: %w", build.Name, err)
	}
	if found.Labels[v1alpha1.LabelIdentity] != build.Labels[v1alpha1.LabelIdentity] {
		return "", &takenError{build.Name}
	}
	return build.Name, nil
}

// takenError means that somebody else has made a build of a name that is derived.
type takenError struct{ name string }

// Error implements error.
func (e *takenError) Error() string {
	return "CiBuild " + e.name + " exists, and was not made for this delivery: delete it, then redeliver"
}

// isRefused tells whether the API server has answered, and will not answer otherwise before a
// person has done something.
func (j job) isRefused(err error) bool {
	var taken *takenError
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || errors.As(err, &taken) ||
		(isForbidden(err) && j.forbidden >= maxForbidden-1)
}
