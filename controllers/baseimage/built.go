package baseimage

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// recheckedAt is how old the row's time of a check may become of an image that is built here.
const recheckedAt = time.Minute

// lookForBuilds learns what builds have made of the images that are built here.
func (c *Checker) lookForBuilds(ctx context.Context) error {
	now := c.Now()
	if now.Sub(c.builtAt) < builtInterval {
		return nil
	}
	built, images := c.built(now)
	if len(built) == 0 {
		c.builtAt = now
		return nil
	}
	digests, err := c.Rows.BuiltDigests(ctx, images)
	if err != nil {
		return err
	}
	c.builtAt = now
	for i, one := range built {
		v, err := c.builtVerdict(ctx, one, images[i].Pipeline, digests[i])
		if err != nil {
			return err
		}
		c.foundBuild(one, v)
	}
	return nil
}

// built are the images that are built here.
func (c *Checker) built(now time.Time) (built []attempt, images []store.BuiltImage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.records {
		if known.isBuilt() && known.hasRow && !known.isChecking {
			built = append(built, attemptOf(known, now))
			images = append(images, store.BuiltImage{
				Namespace: known.key.Namespace, Pipeline: known.spec.From.PipelineRef.Name, Spellings: known.image.Spellings(),
			})
		}
	}
	return built, images
}

// builtVerdict says what is known of an image that a CiPipeline builds.
func (c *Checker) builtVerdict(ctx context.Context, one attempt, pipeline, digest string) (verdict, error) {
	key := types.NamespacedName{Namespace: one.key.Namespace, Name: pipeline}
	err := c.Cache.Get(ctx, key, &v1alpha1.CiPipeline{})
	switch {
	case apierrors.IsNotFound(err):
		return verdict{reason: v1alpha1.ReasonUnchecked, message: fmt.Sprintf("there is no CiPipeline %s in namespace %s: create it, or correct spec.from", pipeline, key.Namespace)}, nil
	case err != nil:
		return verdict{}, fmt.Errorf("read CiPipeline %s: %w", pipeline, err)
	case digest == "" && one.before == "":
		return verdict{reason: v1alpha1.ReasonUnchecked, message: fmt.Sprintf("no build of CiPipeline %s that succeeded has made an artifact of %s", pipeline, one.image.Repository)}, nil
	case digest == "":
		digest = one.before // the rows of the build are gone
	}
	return verdict{reason: v1alpha1.ReasonChecked, message: "the digest is that of the newest build of CiPipeline " + pipeline, digest: digest}, nil
}

// foundBuild takes over what was found, by the way of the row where that is to be told.
func (c *Checker) foundBuild(one attempt, v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := one.record
	isOld := c.Now().Sub(known.state.CheckedAt) >= recheckedAt
	if v.digest != "" && (v.digest != known.state.Digest || isOld || known.isWanted()) {
		known.isChecking = true
		c.finished = slices.Insert(c.finished, 0, finished{attempt: one, verdict: v})
		return
	}
	if known.generation == one.generation {
		known.verdict = v
	}
}
