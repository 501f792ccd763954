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

// exchange writes what has changed into the database, and reads what others want. It uses one
// connection at a time.
func (c *Checker) exchange(ctx context.Context) error {
	for _, step := range []func(context.Context) error{c.forget, c.mirror, c.lookForBuilds, c.note, c.hear} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forget notes, once after each deletion and at the start, which images are gone.
func (c *Checker) forget(ctx context.Context) error {
	if c.hasForgotten {
		return nil
	}
	c.mu.Lock()
	var existing []string
	for uid := range c.records {
		existing = append(existing, string(uid))
	}
	c.mu.Unlock()
	err := c.Rows.ForgetBaseImages(ctx, existing)
	c.hasForgotten = err == nil
	return err
}

// mirror makes the rows that are missing or of another spec, and learns what they say.
func (c *Checker) mirror(ctx context.Context) error {
	c.mu.Lock()
	var missing []store.MirroredBaseImage
	generations := map[types.UID]int64{}
	for uid, known := range c.records {
		if !known.hasRow && known.image.Registry != "" {
			missing = append(missing, known.mirrored())
			generations[uid] = known.generation
		}
	}
	c.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	states, err := c.Rows.MirrorBaseImages(ctx, missing)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, generation := range generations {
		if known := c.records[uid]; known != nil && known.generation == generation {
			known.state, known.hasRow = states[string(uid)], true
		}
	}
	return nil
}

// note writes what checks have found. What can't be written now is kept, and its images are not
// checked again before.
func (c *Checker) note(ctx context.Context) error {
	c.mu.Lock()
	ended := c.finished
	c.finished = nil
	c.mu.Unlock()
	var checks []store.BaseImageCheck
	for _, one := range ended {
		if c.needsNote(one) {
			checks = append(checks, one.noted())
		}
	}
	states := map[string]store.BaseImageState{}
	if len(checks) > 0 {
		var err error
		if states, err = c.Rows.RecordBaseImageChecks(ctx, checks); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.finished = append(ended, c.finished...)
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range ended {
		state, isNoted := states[string(one.record.uid)]
		c.end(one, state, isNoted)
	}
	return nil
}

// needsNote tells whether a check is of the spec that is in force, and has found something, or
// is one that somebody wanted.
func (c *Checker) needsNote(one finished) bool {
	isOfSpec := one.record.generation == one.generation
	return isOfSpec && !one.verdict.isOwn && (one.verdict.digest != "" || (!one.wanted.IsZero() && one.verdict.until.IsZero()))
}

// end takes over what a check came to. The caller holds the lock.
func (c *Checker) end(one finished, state store.BaseImageState, isNoted bool) {
	known := one.record
	known.isChecking = false
	if known.generation != one.generation {
		return // it is due, with its new spec
	}
	if c.needsNote(one) && !isNoted {
		known.hasRow, known.due = false, c.Now().Add(minGap) // what is known is not what the row says
		return
	}
	count(known.state.Digest, one.verdict)
	if isNoted {
		known.state = state
		known.fulfilled = later(known.fulfilled, one.wanted)
	}
	c.settle(known, one.attempt, one.verdict)
}

// settle decides what is believed of an image from now on, and when it is checked again. The
// caller holds the lock.
func (c *Checker) settle(known *record, one attempt, v verdict) {
	switch {
	case v.reason == v1alpha1.ReasonChecked:
		known.failures = 0
	case v.until.IsZero() && !v.isOwn:
		known.failures++
	}
	now := c.Now()
	known.due = known.next(v, one.began, now)
	if known.isWanted() && v.until.IsZero() { // somebody has come while the check was under way
		known.due = one.began.Add(minGap)
	}
	if v.isOwn {
		return
	}
	if v.reason != v1alpha1.ReasonChecked && known.isPolled() {
		v.message += fmt.Sprintf(": the next check is at %s", clockOf(known.due))
	}
	known.verdict = v
}

// hear learns whose check somebody wants.
func (c *Checker) hear(ctx context.Context) error {
	c.mu.Lock()
	isEmpty := len(c.records) == 0
	c.mu.Unlock()
	if isEmpty {
		return nil
	}
	wanted, err := c.Rows.WantedBaseImages(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, since := range wanted {
		if known := c.records[types.UID(uid)]; known != nil {
			known.want(since, c.Now())
		}
	}
	return nil
}

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

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
