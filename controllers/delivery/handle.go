package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const (
	// workTimeout bounds one attempt, and lease is for how long nobody else makes one.
	workTimeout, lease = time.Minute, 2 * time.Minute
	// maxAttempts is how often a delivery is tried: for about half an hour.
	maxAttempts = 14
	// firstDelay and maxDelay bound the pause before the next attempt, which doubles.
	firstDelay, maxDelay = time.Second, 5 * time.Minute
)

// handle makes one attempt at a delivery and notes what came of it. It goes on after the context
// has ended: what was made is noted as made.
func (w *Worker) handle(ctx context.Context, delivery store.WebhookDelivery) {
	failpoint.Hit(failpoint.DeliveryAfterClaim)
	log := w.Log.WithValues("namespace", delivery.Namespace, "receiver", delivery.Receiver, "delivery", delivery.ID)
	workCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
	defer cancel()
	var made result
	err := bounded.Protect(func() (err error) {
		made, err = w.work(workCtx, delivery)
		return err
	})
	crash.Tell(log, "delivery", err)
	failpoint.Hit(failpoint.DeliveryBeforeRecord)
	err = w.record(context.WithoutCancel(ctx), delivery, made, err)
	failpoint.Hit(failpoint.DeliveryAfterRecord)
	if err != nil {
		log.Info("outcome of a delivery not recorded, it is worked off again", "error", err.Error())
	}
}

// record notes what came of an attempt. What failed for a reason that may pass is tried again.
func (w *Worker) record(ctx context.Context, delivery store.WebhookDelivery, made result, failure error) error {
	before := w.forbiddenBefore(delivery.ID)
	w.countForbidden(delivery.ID, failure)
	var panicked *bounded.PanicError
	switch {
	case errors.As(failure, &panicked):
		made = result{Failed, "Failed: Penstock has failed at it: its log says how"}
	case failure != nil && (job{forbidden: before}).isRefused(failure):
		made = refused("%s", whyRefused(failure))
	case failure != nil && delivery.Attempts < maxAttempts:
		return w.withRows(func() error {
			return w.Rows.RetryDelivery(ctx, w.Worker, delivery, pause(delivery, before, failure), "it is tried again: "+failure.Error())
		})
	case failure != nil:
		made = result{Failed, fmt.Sprintf("Failed: given up after %d attempts: %v", delivery.Attempts, failure)}
	}
	worked.WithLabelValues(string(delivery.Type), string(made.outcome)).Inc()
	return w.withRows(func() error {
		return w.Rows.FinishDelivery(ctx, w.Worker, delivery, made.outcome.isFailure(), string(made.outcome), made.message)
	})
}

// backoff is the pause after so many attempts.
func backoff(attempts int32) time.Duration {
	return min(firstDelay<<min(max(attempts-1, 0), 20), maxDelay)
}

// pause is for how long a delivery waits that has failed.
func pause(delivery store.WebhookDelivery, forbiddenBefore int, failure error) time.Duration {
	if isForbidden(failure) {
		return backoff(int32(forbiddenBefore + 1)) //nolint:gosec // below maxForbidden
	}
	return backoff(delivery.Attempts)
}

// work does what a delivery asks for. Its error is one that may pass.
func (w *Worker) work(ctx context.Context, delivery store.WebhookDelivery) (result, error) {
	var receiver v1alpha1.Receiver
	err := w.Cache.Get(ctx, types.NamespacedName{Namespace: delivery.Namespace, Name: delivery.Receiver}, &receiver)
	if apierrors.IsNotFound(err) || (err == nil && receiver.UID != delivery.ReceiverUID) {
		return ignored("the Receiver " + delivery.Receiver + " was deleted"), nil
	}
	if err != nil {
		return result{}, fmt.Errorf("get Receiver: %w", err)
	}
	event, notUnderstood := w.understand(delivery, receiver.Spec)
	if notUnderstood != nil { // for ever: to try again is no use
		return misunderstood(notUnderstood), nil
	}
	return w.act(ctx, job{delivery: delivery, receiver: &receiver, event: event, forbidden: w.forbiddenBefore(delivery.ID)})
}

// misunderstood is the outcome of a delivery that can't be parsed, filtered or mapped.
func misunderstood(err error) result {
	if errors.Is(err, webhook.ErrMalformed) {
		return result{Malformed, "Malformed: " + strings.TrimPrefix(err.Error(), webhook.ErrMalformed.Error()+": ")}
	}
	return result{Failed, "Failed: " + err.Error()}
}

// understand parses a delivery as the Receiver is now, whatever it was when it came.
func (w *Worker) understand(delivery store.WebhookDelivery, spec v1alpha1.ReceiverSpec) (webhook.Event, error) {
	sender, known := webhook.SenderOf(delivery.Type)
	if !known {
		return webhook.Event{}, fmt.Errorf("%w: no sender of the type %s is known", webhook.ErrMalformed, delivery.Type)
	}
	request := webhook.Request{Header: delivery.Header, Body: delivery.Body, At: delivery.ReceivedAt}
	event, err := sender.Parse(request)
	if err != nil {
		return event, err
	}
	payload, err := sender.Payload(request)
	if err != nil {
		return event, err
	}
	return w.expressions.Apply(event, payload, spec)
}

// job is a delivery, and what it says.
type job struct {
	delivery store.WebhookDelivery
	receiver *v1alpha1.Receiver
	event    webhook.Event
	// forbidden is how many attempts before this one were forbidden.
	forbidden int
}

func (w *Worker) act(ctx context.Context, j job) (result, error) {
	switch j.event.Kind {
	case webhook.Ping:
		return result{Pinged, "Pinged: the sender is heard"}, nil
	case webhook.ImagePushed:
		return w.check(ctx, j)
	case webhook.Pushed, webhook.BuildReported:
		if j.receiver.Spec.Type == v1alpha1.ReceiverUnsigned { // nobody has vouched for it
			return ignored("what nobody signed starts no builds"), nil
		}
	default:
		return ignored(j.event.Why), nil
	}
	if j.event.Kind == webhook.Pushed {
		return w.push(ctx, j)
	}
	return w.report(ctx, j)
}
