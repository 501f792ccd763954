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
	// signed is the policy and the channel that use the Secret.
	signed, secretName = "signed", "hook"
	// groupWait and groupInterval are shorter than a build, so that both messages of a group
	// are sent while it triggers: the first, and that with what came later.
	groupWait, groupInterval = time.Second, 10 * time.Second
	// patience bounds one build with all that is done before and after it.
	patience = 10 * time.Minute
	// deliveryPatience bounds the wait for what is told. Digests are sent after a minute.
	deliveryPatience = 5 * time.Minute
	look             = 500 * time.Millisecond
)

// names are those of the policies and of their channels.
var names = []string{signed, "unsigned"}

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
	// posts is how many requests the receiver took until all children were triggered.
	posts int
	// told is how long it took until everything was delivered, from the first event.
	told time.Duration
}

// String is the progress that is reported.
func (b build) String() string {
	if b.kind == without {
		return b.Triggering.String() + ", without notifications"
	}
	receiver := "up"
	if b.kind == refused {
		receiver = "down for the first minute"
	}
	return fmt.Sprintf("%s; the receiver, which was %s, took %d posts meanwhile; all was delivered after %.1f s",
		b.Triggering, receiver, b.posts, b.told.Seconds())
}

// createPolicies has failed runs told to the receiver, grouped by pipeline: one half of them
// signed with a key of a Secret, which is read each time, and the other half unsigned.
func (s *subject) createPolicies(ctx context.Context, perMinute int) error {
	if err := s.mayReadSecrets(ctx); err != nil {
		return err
	}
	secret := given.Secret(secretName, map[string]string{v1alpha1.SecretSigningKey: "a key of the benchmark"})
	secret.Namespace = namespace
	objects := []client.Object{secret}
	for i, name := range names {
		channel := given.WebhookChannel(name, s.receiver.url)
		channel.Spec.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: int32(perMinute)}
		if name == signed {
			channel.Spec.SecretRef = &v1alpha1.LocalSecretReference{Name: secretName}
		}
		policy := given.Grouped(
			given.Policy(name, []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, name), v1alpha1.GroupByPipeline, groupWait, groupInterval)
		policy.Spec.Filter = fmt.Sprintf("event.run %% %d == %d", len(names), i)
		channel.Namespace, policy.Namespace = namespace, namespace
		objects = append(objects, channel, policy)
	}
	return s.Create(ctx, objects...)
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

// suspend has the policies tell nothing, or again.
func (s *subject) suspend(ctx context.Context, suspended bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspended)
	for _, name := range names {
		policy := given.Policy(name, nil)
		policy.Namespace = namespace
		if err := s.Client.Patch(ctx, policy, client.RawPatch(types.MergePatchType, patch)); err != nil {
			return fmt.Errorf("suspend NotificationPolicy %s: %w", name, err)
		}
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
	began, before := time.Now(), s.receiver.taken()
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
	one.posts = s.receiver.taken() - before
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
