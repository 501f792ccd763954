package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	sending "github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// sendTimeout bounds one attempt, and lease is for how long nobody else makes one.
	sendTimeout, lease = 40 * time.Second, 90 * time.Second
	// grace is for how long an attempt goes on after the context has ended.
	grace = 5 * time.Second
	// minAttempts is how often a notification is tried before it is given up: nobody may have
	// tried while the channel was suspended.
	minAttempts = 20
	// maxNote bounds an error in an event, in bytes.
	maxNote = 700
)

// outcome is what came of one attempt.
type outcome struct {
	reference string
	err       error
	// isRefused: the receiver's answer is final. ofChannel: the channel is tried again after
	// the delay, and not only this notification.
	isRefused, ofChannel bool
	// isOwn: it is no fault of the receiver, and is tried until it is mended.
	isOwn bool
	// delay is for this notification; after is what the receiver asked for.
	delay, after time.Duration
}

// send claims what is due, as far as workers are free, and sends it.
func (n *Notifier) send(ctx context.Context) error {
	generations, suspended, err := n.listed(ctx)
	if err != nil || len(generations) == 0 { // nothing can be sent
		return err
	}
	for ctx.Err() == nil {
		busy, free := n.busy(slices.Clone(suspended), generations)
		if free <= 0 {
			time.AfterFunc(slowAfter/2, n.Wake) // what is slow by then counts apart
			return nil
		}
		var claimed []route.Notification
		err := n.withRows(func() (err error) {
			claimed, err = n.Rows.ClaimNotifications(ctx, n.Worker, lease, busy, free)
			return err
		})
		if err != nil {
			return err
		}
		for _, notification := range claimed {
			n.begin(channelOf(notification))
			n.sending.Go(func() { n.deliverAll(ctx, notification) })
		}
		if len(claimed) < free {
			return nil
		}
	}
	return nil
}

// listed returns the generations of all channels, and those that are suspended.
func (n *Notifier) listed(ctx context.Context) (generations map[types.NamespacedName]int64, suspended []types.NamespacedName, err error) {
	var list v1alpha1.NotificationChannelList
	if err := n.Cache.List(ctx, &list); err != nil {
		return nil, nil, fmt.Errorf("list NotificationChannels: %w", err)
	}
	generations = make(map[types.NamespacedName]int64, len(list.Items))
	for _, channel := range list.Items {
		key := types.NamespacedName{Namespace: channel.Namespace, Name: channel.Name}
		generations[key] = channel.Generation
		if channel.Spec.Suspend {
			suspended = append(suspended, key)
		}
	}
	return generations, suspended, nil
}

// deliverAll sends a notification, and then what else is due of its channel.
func (n *Notifier) deliverAll(ctx context.Context, notification route.Notification) {
	defer n.Wake()
	channel := channelOf(notification)
	for more := true; more && n.deliver(ctx, notification) && ctx.Err() == nil; {
		err := n.withRows(func() (err error) {
			notification, more, err = n.Rows.ClaimNextNotification(ctx, n.Worker, lease, channel)
			return err
		})
		if err != nil {
			n.Log.V(1).Info("nothing more claimed for now", "namespace", channel.Namespace, "channel", channel.Name, "error", err.Error())
			more = false
		}
		if more {
			n.begin(channel)
		}
	}
	n.idle(channel)
}

func channelOf(notification route.Notification) types.NamespacedName {
	return types.NamespacedName{Namespace: notification.Namespace, Name: notification.Channel}
}

// deliver makes one attempt and records it, and tells whether the channel may be sent more at
// once. It goes on for a moment after the context has ended, so that what was sent is recorded
// as sent.
func (n *Notifier) deliver(ctx context.Context, notification route.Notification) (goOn bool) {
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()

	channel, reference, took, err := n.attempt(sendCtx, notification)
	result := n.judge(notification, err)
	result.reference = reference
	delivery := deliveryOf(notification, result)
	kind := channel.Spec.Type
	goOn = n.end(channelOf(notification), channel, took, result)
	count(kind, delivery, took)
	if delivery.State == route.GivenUp {
		n.tellGivenUp(channel, notification, result.err)
	}
	failpoint.Hit(failpoint.NotifyBeforeRecord)
	// What can't be recorded is sent again when the lease ends, under the same key. Its time is
	// counted from when the connection is free: what waits for that is not lost.
	if err := n.withRows(func() error { return n.Rows.RecordDelivery(context.WithoutCancel(ctx), n.Worker, delivery) }); err != nil {
		n.Log.Info("delivery not recorded, the notification may be sent again", "namespace", notification.Namespace,
			"channel", notification.Channel, "notification", notification.ID, "error", err.Error())
		return false
	}
	return goOn && !channel.Spec.Suspend
}

// attempt sends a notification, and returns what the receiver took for that. The channel is
// empty where it could not be read.
func (n *Notifier) attempt(ctx context.Context, notification route.Notification) (channel v1alpha1.NotificationChannel, reference string, took time.Duration, err error) {
	err = bounded.Protect(func() error {
		key := channelOf(notification)
		if err := n.Cache.Get(ctx, key, &channel); err != nil {
			return n.ownFault(notification, "there is no NotificationChannel "+key.Name+" in namespace "+key.Namespace+": create it", err)
		}
		message, err := n.message(ctx, notification)
		if err != nil {
			return n.ownFault(notification, "the database did not answer, it is tried again", err)
		}
		sender, err := n.sender(ctx, channel)
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.NotifyBeforeSend)
		began := time.Now()
		reference, err = sender.Send(ctx, message, notification.Reference)
		took = time.Since(began)
		return err
	})
	crash.Tell(n.Log, "notify", err)
	if panicked := new(bounded.PanicError); errors.As(err, &panicked) {
		err = &ownError{"Penstock has failed at it: its log says how"}
	}
	return channel, reference, took, err
}

// judge decides what follows from an attempt.
func (n *Notifier) judge(notification route.Notification, err error) outcome {
	var refused *sending.RefusedError
	var later *sending.LaterError
	var own *ownError
	wait := backoff(int(notification.Attempts))
	switch {
	case err == nil:
		return outcome{}
	case errors.As(err, &own):
		return outcome{err: err, isOwn: true, delay: wait}
	case errors.As(err, &refused):
		return outcome{err: err, isRefused: true}
	case notification.Attempts > minAttempts && time.Since(notification.TriedSince) > giveUpAfter:
		return outcome{err: fmt.Errorf("given up after %s: %w", giveUpAfter, err), ofChannel: true}
	case errors.As(err, &later):
		return outcome{err: err, ofChannel: true, delay: later.After, after: later.After}
	}
	return outcome{err: err, ofChannel: true, delay: wait}
}

func deliveryOf(notification route.Notification, result outcome) store.Delivery {
	delivery := store.Delivery{Notification: notification, State: route.Sent, Reference: result.reference, Delay: result.delay}
	switch {
	case result.err == nil:
	case result.delay > 0:
		delivery.State, delivery.Error = route.Waiting, result.err.Error()
	default:
		delivery.State, delivery.Error = route.GivenUp, result.err.Error()
	}
	return delivery
}

// ownError is a failure of Penstock's own, in words that everybody may read.
type ownError struct{ words string }

// Error implements error.
func (e *ownError) Error() string { return e.words }

// ownFault keeps what failed for the log alone: an error of the database names its host.
func (n *Notifier) ownFault(notification route.Notification, words string, err error) error {
	n.Log.Info("notification not sent, will retry", "namespace", notification.Namespace, "channel", notification.Channel,
		"notification", notification.ID, "error", err.Error())
	return &ownError{words}
}

func (n *Notifier) tellGivenUp(channel v1alpha1.NotificationChannel, notification route.Notification, err error) {
	n.Log.Info("notification given up", "namespace", notification.Namespace, "channel", notification.Channel,
		"notification", notification.ID, "error", err.Error())
	if channel.Name != "" {
		n.Events.Eventf(&channel, nil, corev1.EventTypeWarning, string(v1alpha1.ReasonGivenUp), "Notify",
			"notification %d is given up: %s: to send it again: kubectl penstock notify resend %d -n %s", notification.ID, clip.Text(err.Error(), maxNote), notification.ID, notification.Namespace)
	}
}

// message says what the rows say now.
func (n *Notifier) message(ctx context.Context, notification route.Notification) (sending.Message, error) {
	build, err := n.build(ctx, notification)
	if err != nil {
		return sending.Message{}, err
	}
	message := notification.Message(build)
	var policy v1alpha1.NotificationPolicy
	if notification.Policy != "" {
		key := types.NamespacedName{Namespace: notification.Namespace, Name: notification.Policy}
		if err := client.IgnoreNotFound(n.Cache.Get(ctx, key, &policy)); err != nil {
			return sending.Message{}, err
		}
	}
	if policy.Spec.Template.Title == "" {
		return message, nil
	}
	message.Title = n.title(&policy, message)
	return message, nil
}

// title is what a policy's template makes; where that fails it is told all the same, in the
// words of every policy.
func (n *Notifier) title(policy *v1alpha1.NotificationPolicy, message sending.Message) string {
	title, err := n.expressions.Title(policy.Spec.Template.Title, message)
	if err != nil {
		n.policyFailed(policy, fmt.Errorf("spec.template.title: %w", err))
		return message.Title
	}
	return title
}
