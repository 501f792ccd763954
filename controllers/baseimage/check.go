package baseimage

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/registry"
	"github.com/penstock-cd/penstock/pkg/store"
)

// attempt is one check of one image.
type attempt struct {
	record *record
	// What the check begins with.
	key        types.NamespacedName
	generation int64
	image      registry.Image
	secret     string
	before     string
	wanted     time.Time
	began      time.Time
	// verdict is where the check leaves its result.
	verdict *verdict
}

// finished is a check that has ended and is not noted yet.
type finished struct {
	attempt
	verdict verdict
}

func attemptOf(known *record, now time.Time) attempt {
	one := attempt{
		record: known, key: known.key, generation: known.generation, image: known.image,
		before: known.state.Digest, began: now, verdict: &verdict{},
	}
	if known.isWanted() {
		one.wanted = known.wanted
	}
	if known.spec.PullSecretRef != nil {
		one.secret = known.spec.PullSecretRef.Name
	}
	return one
}

// check asks for one image. Its error is Penstock's own.
func (c *Checker) check(ctx context.Context, one attempt) error {
	credentials, refusal, err := c.credentials(ctx, one)
	if err != nil {
		return err
	}
	if refusal.reason != "" {
		*one.verdict = refusal
		return nil
	}
	began := c.Now()
	digest, err := c.registry.Digest(ctx, one.image, credentials)
	checkSeconds.Observe(c.Now().Sub(began).Seconds())
	var failure *registry.Error
	switch {
	case errors.As(err, &failure):
		*one.verdict = refused(failure)
	case err != nil:
		return err
	default:
		*one.verdict = verdict{reason: v1alpha1.ReasonChecked, message: checkedMessage, digest: digest}
	}
	return nil
}

// checked keeps what a check came to until it is noted.
func (c *Checker) checked(one attempt, err error) {
	if err != nil {
		*one.verdict = verdict{isOwn: true}
		c.tell(one, err)
	}
	c.mu.Lock()
	c.finished = append(c.finished, finished{attempt: one, verdict: *one.verdict})
	c.mu.Unlock()
	c.wake.Notify()
}

// tell logs what kept an image from being checked.
func (c *Checker) tell(one attempt, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	crash.Tell(c.Log, "baseimage", err)
	c.Log.Error(err, "base image not checked, will retry", "namespace", one.key.Namespace, "baseImage", one.key.Name)
}

// credentials reads the image's pull Secret; nil where it names none. A refusal is what is wrong
// with the Secret.
func (c *Checker) credentials(ctx context.Context, one attempt) (_ *registry.Credentials, refusal verdict, err error) {
	if one.secret == "" {
		return nil, verdict{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	var secret corev1.Secret
	key := types.NamespacedName{Namespace: one.key.Namespace, Name: one.secret}
	switch err := c.Live.Get(ctx, key, &secret); {
	case apierrors.IsNotFound(err):
		return nil, verdict{reason: v1alpha1.ReasonSecretNotFound, message: fmt.Sprintf("the Secret %s does not exist in namespace %s: create it", key.Name, key.Namespace)}, nil
	case apierrors.IsForbidden(err):
		return nil, verdict{reason: v1alpha1.ReasonForbidden, message: fmt.Sprintf(
			"not allowed to read the Secret %s in namespace %s: bind the ClusterRole penstock-base-images there, see docs/base-images.md", key.Name, key.Namespace)}, nil
	case err != nil:
		return nil, verdict{}, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	credentials, err := registry.FindCredentials(&secret, one.image)
	if err != nil {
		return nil, verdict{reason: v1alpha1.ReasonInvalidSecret, message: fmt.Sprintf("the Secret %s is not used: %s", key.Name, err)}, nil
	}
	return credentials, verdict{}, nil
}

// noted is what the row of an image is told of a check.
func (f finished) noted() store.BaseImageCheck {
	return store.BaseImageCheck{
		UID: string(f.record.uid), Image: f.record.spec.Image, Before: f.before, Digest: f.verdict.digest,
		WantedAt: f.wanted, Settle: settleOf(f.record.spec),
	}
}
