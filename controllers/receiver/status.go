package receiver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

// prefix is before every path, as the server has it.
const prefix = "/hooks/"

// maxMessage bounds messages in a status, in bytes.
const maxMessage = 1024

// newPath returns 43 characters that nobody guesses: 256 random bits.
func newPath() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

// report writes the status where it has changed; where that is its last delivery alone, not more
// often than every calmInterval.
func (c *Controller) report(ctx context.Context, receiver *v1alpha1.Receiver, state store.ReceiverState) error {
	changed := receiver.DeepCopy()
	status := &changed.Status
	status.Path, status.ObservedGeneration = prefix+state.Path, receiver.Generation
	condition := c.condition(receiver, state.Secret)
	condition.ObservedGeneration = receiver.Generation
	meta.SetStatusCondition(&status.Conditions, condition)
	isSame := equality.Semantic.DeepEqual(receiver.Status, *status)
	status.LastDelivery = lastOf(state)
	switch {
	case equality.Semantic.DeepEqual(receiver.Status, *status):
		return nil
	case isSame && time.Since(c.written[receiver.UID]) < calmInterval:
		return nil // the next look finds it
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := c.Writer.Status().Patch(ctx, changed, client.MergeFrom(receiver))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("patch status: %w", err)
	}
	c.written[receiver.UID] = time.Now()
	return nil
}

func lastOf(state store.ReceiverState) *v1alpha1.LastDelivery {
	if state.Last.ID == 0 {
		return nil
	}
	return &v1alpha1.LastDelivery{
		ID: strconv.FormatInt(state.Last.ID, 10), At: metav1.NewTime(state.Last.At.Truncate(time.Second)),
		Outcome: state.Last.Outcome, Message: clip.Text(state.Last.Message, maxMessage),
	}
}

// condition tells whether deliveries are taken and understood. What is wrong with the Secret only
// the server knows, which may read it, and which says so of one generation.
func (c *Controller) condition(receiver *v1alpha1.Receiver, secret store.SecretProblem) metav1.Condition {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	spec := receiver.Spec
	err := c.expressions.Check(spec)
	switch {
	case err != nil:
		ready.Reason, ready.Message = string(v1alpha1.ReasonInvalidSpec), clip.Text(err.Error(), maxMessage)
	case spec.Suspend:
		ready.Reason, ready.Message = string(v1alpha1.ReasonSuspended), "spec.suspend is true: senders are told to come back later"
	case secret.Reason != "" && secret.Generation == receiver.Generation:
		ready.Reason, ready.Message = string(secret.Reason), clip.Text(secret.Message, maxMessage)
	default:
		ready.Status, ready.Reason = metav1.ConditionTrue, string(v1alpha1.ReasonReady)
		ready.Message = "deliveries are taken at status.path"
	}
	return ready
}
