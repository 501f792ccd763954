package hooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// Look looks at the Secrets of Receivers that are new or changed, or whose Secret could not be
// used, and notes what is wrong: nobody but the server may read them, and senders are not told.
// What goes wrong with others is found when something is sent to them.
func (h *Handler) Look(ctx context.Context) (time.Duration, error) {
	all, err := h.receivers.notOlder(ctx, receiversAge)
	if err != nil {
		return 0, err
	}
	var failed []error
	looked := 0
	for _, receiver := range all { // in no order: none waits for ever
		if looked == maxLooks {
			break
		}
		isKnown := receiver.Secret.Generation == receiver.Generation && receiver.Secret.Reason == ""
		if isKnown && !h.suspects.take(receiver.UID) {
			continue
		}
		looked++
		failed = append(failed, h.lookAt(ctx, receiver))
	}
	return 0, errors.Join(failed...)
}

func (h *Handler) lookAt(ctx context.Context, receiver store.Receiver) error {
	found := store.SecretProblem{Generation: receiver.Generation}
	if receiver.Spec.SecretRef != nil {
		name := receiver.Spec.SecretRef.Name
		values, err := h.secrets.of(ctx, receiver.Namespace, name)
		if err != nil && isTransient(err) {
			return fmt.Errorf("read Secret %s/%s: %w", receiver.Namespace, name, err)
		}
		found.Reason, found.Message = judge(name, values, err)
	}
	return h.Rows.NoteSecret(ctx, receiver.UID, found)
}

// judge tells what is wrong with a Secret; nothing where it has a value.
func judge(name string, values [][]byte, err error) (v1alpha1.Reason, string) {
	switch {
	case apierrors.IsNotFound(err):
		return v1alpha1.ReasonSecretNotFound, fmt.Sprintf("Secret %s does not exist: whatever is sent gets 404", name)
	case err != nil:
		return v1alpha1.ReasonForbidden, fmt.Sprintf(
			"penstock server may not read Secret %s: bind its service account to the ClusterRole penstock-webhooks in this namespace; whatever is sent gets 404", name)
	case len(values) == 0:
		return v1alpha1.ReasonInvalidSecret, fmt.Sprintf(
			"Secret %s is not of the type %s, or has no key %s: whatever is sent gets 404", name, corev1.SecretTypeOpaque, v1alpha1.SecretToken)
	}
	return "", ""
}
