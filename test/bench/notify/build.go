package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	channelName, policyName = "hook", "failures"
	// groupWait and groupInterval are shorter than a build, so that both messages of a group
	// are sent while it triggers: the first, and that with what came later.
	groupWait, groupInterval = time.Second, 10 * time.Second
	// patience bounds one build with all that is done before and after it.
	patience = 10 * time.Minute
	// deliveryPatience bounds the wait for what is told. Digests are sent after a minute.
	deliveryPatience = 5 * time.Minute
	look             = 500 * time.Millisecond
)

// subject is the controller that is measured, and what it works on.
type subject struct {
	*fixture.Limited
	receiver *receiver
	// events is how many are written during a build, within span, and down is for how long the
	// receiver is down.
	events     int
	span, down time.Duration
	// written is how many events were written so far.
	written int
}

// build is the figures of one build.
type build struct {
	kind kind
	fixture.Triggering
	// told is how long it took until everything was delivered, from the first event.
	told time.Duration
}

// String is the progress that is reported.
func (b build) String() string {
	switch b.kind {
	case sent:
		return fmt.Sprintf("%s; all events were delivered after %.1f s", b.Triggering, b.told.Seconds())
	case refused:
		return fmt.Sprintf("%s; all events were delivered after %.1f s, since the receiver was down", b.Triggering, b.told.Seconds())
	}
	return b.Triggering.String() + ", without notifications"
}

// createPolicy has failed runs told to the receiver, grouped by pipeline, and signed with a key
// of a Secret, as most channels have one.
func (s *subject) createPolicy(ctx context.Context, perMinute int) error {
	if err := s.mayReadSecrets(ctx); err != nil {
		return err
	}
	secret := given.Secret(channelName, map[string]string{v1alpha1.SecretSigningKey: "a key of the benchmark"})
	channel := given.WebhookChannel(channelName, s.receiver.url)
	channel.Spec.SecretRef = &v1alpha1.LocalSecretReference{Name: channelName}
	channel.Spec.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: int32(perMinute)}
	policy := given.Grouped(
		given.Policy(policyName, []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, channelName), v1alpha1.GroupByPipeline, groupWait, groupInterval)
	secret.Namespace, channel.Namespace, policy.Namespace = namespace, namespace, namespace
	return s.Create(ctx, secret, channel, policy)
}

// mayReadSecrets lets the controller read Secrets of the namespace, as docs/notifications.md says.
func (s *subject) mayReadSecrets(ctx context.Context) error {
	if err := s.InstallNotifications(ctx); err != nil {
		return err
	}
	_, err := s.Kubectl(ctx, "-n", namespace, "create", "rolebinding", "penstock-notifications", "--clusterrole=penstock-notifications",
		"--serviceaccount="+env.ControllerNamespace+":penstock")
	return err
}

// suspend has the policy tell nothing, or again.
func (s *subject) suspend(ctx context.Context, suspended bool) error {
	policy := given.Policy(policyName, nil)
	policy.Namespace = namespace
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspended)
	if err := s.Client.Patch(ctx, policy, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("suspend NotificationPolicy %s: %w", policyName, err)
	}
	return nil
}

// build has a build trigger, while events are told or without that, and waits until all status
// is written and everything is delivered.
func (s *subject) build(ctx context.Context, name string, kind kind) (build, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	one := build{kind: kind}
	err := errors.Join(s.suspend(ctx, kind == without), s.PrepareBuild(ctx, name, nil))
	if err != nil {
		return one, err
	}
	began := time.Now()
	var meanwhile func(context.Context) error
	if kind != without {
		meanwhile = s.write
	}
	if kind == refused {
		s.receiver.refuseUntil(began.Add(s.down))
	}
	if one.Triggering, err = s.Trigger(ctx, name, meanwhile); err != nil {
		return one, err
	}
	err = errors.Join(s.Set(ctx, fixture.QPSBetween, nil), s.AwaitLastRun(ctx, namespace, given.CI, name))
	if err != nil {
		return one, err
	}
	if kind != without {
		err = s.awaitDelivered(ctx)
		one.told = time.Since(began)
	}
	return one, err
}

// awaitDelivered returns when the rows say that everything that was written was sent, or when
// that takes too long: what is missing then is counted as lost at last.
func (s *subject) awaitDelivered(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, look, deliveryPatience, true, func(ctx context.Context) (bool, error) {
		recorded, err := s.recorded(ctx)
		return recorded.events >= s.written && recorded.waiting == 0, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return nil
	}
	return err
}
