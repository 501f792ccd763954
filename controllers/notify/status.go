package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// calmInterval is the least time between two writes of one status whose condition is the
	// same.
	calmInterval = 15 * time.Second
	// writeTimeout bounds one write, waiting for the API's token bucket included, of which so
	// many are made at once.
	writeTimeout, writers = 30 * time.Second, 4
	// maxMessage bounds a condition's message, in bytes.
	maxMessage = 1024
)

// report measures the outbox, and writes the status of channels and policies.
func (n *Notifier) report(ctx context.Context) (time.Duration, error) {
	var channels v1alpha1.NotificationChannelList
	if err := n.Cache.List(ctx, &channels); err != nil {
		return 0, fmt.Errorf("list NotificationChannels: %w", err)
	}
	counts, err := n.counts(ctx, len(channels.Items))
	if err != nil {
		return 0, err
	}
	measure(counts, channels.Items)
	known := map[types.NamespacedName]bool{}
	for i := range channels.Items {
		known[client.ObjectKeyFromObject(&channels.Items[i])] = true
	}
	var failed []error
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, channels.Items, func(ctx context.Context, channel v1alpha1.NotificationChannel) error {
		return n.reportChannel(ctx, &channel, counts[client.ObjectKeyFromObject(&channel)])
	}) {
		if err != nil {
			failed = append(failed, fmt.Errorf("NotificationChannel %s/%s: %w", channels.Items[i].Namespace, channels.Items[i].Name, err))
		}
	}
	n.forget(known)
	return 0, errors.Join(errors.Join(failed...), n.reportPolicies(ctx, known))
}

// counts asks for nothing where there are no channels.
func (n *Notifier) counts(ctx context.Context, channels int) (counts map[types.NamespacedName]store.ChannelCount, err error) {
	if channels == 0 {
		return nil, nil
	}
	err = n.withRows(func() (err error) {
		counts, err = n.Rows.ChannelCounts(ctx)
		return err
	})
	return counts, err
}

// forget drops what is known of channels that are gone and idle.
func (n *Notifier) forget(known map[types.NamespacedName]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for channel, health := range n.channels {
		if !known[channel] && !health.inFlight && health.shutUntil.Before(time.Now()) {
			delete(n.channels, channel)
		}
	}
}

func (n *Notifier) reportChannel(ctx context.Context, channel *v1alpha1.NotificationChannel, count store.ChannelCount) error {
	changed := channel.DeepCopy()
	status := &changed.Status
	status.Waiting, status.Dropped = count.Waiting, count.Dropped
	condition := n.channelCondition(channel, status)
	condition.ObservedGeneration = channel.Generation
	isSame := !meta.SetStatusCondition(&status.Conditions, condition)
	if equality.Semantic.DeepEqual(channel.Status, changed.Status) || (isSame && n.waits(channel)) {
		return nil
	}
	return n.patch(ctx, changed, channel)
}

// waits tells whether the status was written a moment ago, and notes that it is written now
// where it was not.
func (n *Notifier) waits(channel *v1alpha1.NotificationChannel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := client.ObjectKeyFromObject(channel)
	if n.channels[key] == nil {
		n.channels[key] = &health{}
	}
	if time.Since(n.channels[key].written) < calmInterval {
		return true
	}
	n.channels[key].written = time.Now()
	return false
}

// channelCondition adds to the status what this process knows, and says how the channel does.
func (n *Notifier) channelCondition(channel *v1alpha1.NotificationChannel, status *v1alpha1.NotificationChannelStatus) metav1.Condition {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.channels[client.ObjectKeyFromObject(channel)]
	if known == nil {
		known = &health{}
	}
	if !known.delivered.IsZero() {
		status.LastDelivered = &metav1.Time{Time: known.delivered.Truncate(time.Second)}
	}
	if !known.failed.IsZero() {
		status.LastErrorAt = &metav1.Time{Time: known.failed.Truncate(time.Second)}
		status.LastError = clip.Text(known.lastErr, maxMessage)
	}
	if channel.Spec.Suspend {
		return ready(metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend is true: what is to be sent waits")
	}
	if webhook := channel.Spec.Webhook; webhook != nil && webhook.Body != "" {
		if err := n.expressions.Check(webhook.Body); err != nil {
			return ready(metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, "spec.webhook.body: "+err.Error())
		}
	}
	return known.condition(channel)
}

// condition says what came of what was sent last. What an earlier process wrote stays where
// this one has sent nothing.
func (h *health) condition(channel *v1alpha1.NotificationChannel) metav1.Condition {
	isOfSpec := h.generation == channel.Generation // else it tells of another spec
	test := ": kubectl penstock notify test " + channel.Name + " -n " + channel.Namespace
	switch {
	case isOfSpec && h.err != "" && h.isRefused:
		return ready(metav1.ConditionFalse, v1alpha1.ReasonReceiverRefuses, h.err+": correct it, then"+test)
	case isOfSpec && h.err != "":
		return ready(metav1.ConditionFalse, v1alpha1.ReasonNotDelivered, h.err+": it is tried again")
	case isOfSpec && !h.delivered.IsZero():
		return ready(metav1.ConditionTrue, v1alpha1.ReasonDelivered, "the receiver has accepted what was sent last")
	}
	before := meta.FindStatusCondition(channel.Status.Conditions, v1alpha1.ConditionReady)
	if before != nil && before.ObservedGeneration == channel.Generation && before.Reason != string(v1alpha1.ReasonSuspended) {
		return *before
	}
	return ready(metav1.ConditionUnknown, v1alpha1.ReasonUntried, "nothing was sent yet"+test)
}

func ready(status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: string(reason), Message: clip.Text(message, maxMessage)}
}

func (n *Notifier) reportPolicies(ctx context.Context, channels map[types.NamespacedName]bool) error {
	var policies v1alpha1.NotificationPolicyList
	if err := n.Cache.List(ctx, &policies); err != nil {
		return fmt.Errorf("list NotificationPolicies: %w", err)
	}
	n.forgetPolicies(policies.Items)
	var failed []error
	for i := range policies.Items {
		policy := &policies.Items[i]
		changed := policy.DeepCopy()
		condition := n.policyCondition(policy, channels)
		condition.ObservedGeneration = policy.Generation
		if meta.SetStatusCondition(&changed.Status.Conditions, condition) {
			failed = append(failed, n.patch(ctx, changed, policy))
		}
	}
	return errors.Join(failed...)
}

// forgetPolicies drops what went wrong with policies that are gone or have changed.
func (n *Notifier) forgetPolicies(policies []v1alpha1.NotificationPolicy) {
	current := map[failedPolicy]bool{}
	for i := range policies {
		current[failedPolicy{client.ObjectKeyFromObject(&policies[i]), policies[i].Generation}] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.policies, func(policy failedPolicy, _ string) bool { return !current[policy] })
}

func (n *Notifier) policyCondition(policy *v1alpha1.NotificationPolicy, channels map[types.NamespacedName]bool) metav1.Condition {
	no := func(reason v1alpha1.Reason, message string) metav1.Condition {
		return ready(metav1.ConditionFalse, reason, message)
	}
	if _, err := n.expressions.Policy(policy); err != nil {
		return no(v1alpha1.ReasonInvalidSpec, err.Error()+": nothing is told until that is corrected")
	}
	if policy.Spec.Suspend {
		return no(v1alpha1.ReasonSuspended, "spec.suspend is true: nothing is told, also not later")
	}
	var missing []string
	for _, channel := range policy.Spec.Channels {
		if !channels[types.NamespacedName{Namespace: policy.Namespace, Name: channel}] {
			missing = append(missing, channel)
		}
	}
	if len(missing) > 0 {
		return no(v1alpha1.ReasonChannelNotFound, "spec.channels: there is no NotificationChannel "+strings.Join(missing, ", ")+" in namespace "+policy.Namespace+": what is to be told there waits")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if failed := n.policies[failedPolicy{client.ObjectKeyFromObject(policy), policy.Generation}]; failed != "" {
		return no(v1alpha1.ReasonExpressionFailed, failed)
	}
	return ready(metav1.ConditionTrue, v1alpha1.ReasonReady, "events are told")
}

// patch writes a status. One that has changed since it was read is looked at again.
func (n *Notifier) patch(ctx context.Context, changed, original client.Object) error {
	patch := client.MergeFromWithOptions(original, client.MergeFromWithOptimisticLock{})
	err := n.Writer.Status().Patch(ctx, changed, patch)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
