package baseimage

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/registry"
	"github.com/penstock-cd/penstock/pkg/store"
)

// record is what is known of one BaseImage. Checker.mu guards it.
type record struct {
	key        types.NamespacedName
	uid        types.UID
	generation int64
	spec       v1alpha1.BaseImageSpec // shared with the cache, and never changed
	image      registry.Image

	// hasRow tells that the row is of this generation, and state is what it says.
	hasRow bool
	state  store.BaseImageState

	// due is when the next check begins, unless one is under way, since began.
	due, began time.Time
	isChecking bool
	failures   int
	// wanted is when somebody wanted a check, by the database's clock, who was heard, and
	// fulfilled is the last such wish of which a check was noted.
	wanted, fulfilled time.Time
	// verdict is what the last check came to; none where it is zero.
	verdict verdict

	// written is the status that the last write left, over an object of the version
	// writtenOver, until the cache shows a newer one.
	written     *v1alpha1.BaseImageStatus
	writtenOver string
}

// isPolled tells whether a registry is asked for the image.
func (r *record) isPolled() bool {
	return r.spec.From == nil && !r.spec.Suspend && r.image.Registry != ""
}

// isBuilt tells whether builds are looked for that make the image.
func (r *record) isBuilt() bool {
	return r.spec.From != nil && !r.spec.Suspend && r.image.Registry != ""
}

// isWanted tells whether somebody waits for a check.
func (r *record) isWanted() bool { return r.wanted.After(r.fulfilled) }

// follow takes over which BaseImages exist and what their specs say.
func (c *Checker) follow(images []v1alpha1.BaseImage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	existing := make(map[types.UID]bool, len(images))
	for i := range images {
		existing[images[i].UID] = true
		c.followOne(&images[i])
	}
	for uid := range c.records {
		if !existing[uid] {
			delete(c.records, uid)
			c.hasForgotten = false
		}
	}
}

func (c *Checker) followOne(image *v1alpha1.BaseImage) {
	known := c.records[image.UID]
	if known == nil {
		known = &record{key: client.ObjectKeyFromObject(image), uid: image.UID, due: firstCheck(image, c.Now())}
		known.state = store.BaseImageState{Image: image.Spec.Image, Digest: image.Status.Digest, PreviousDigest: image.Status.PreviousDigest}
		if at := image.Status.CheckedAt; at != nil {
			known.state.CheckedAt = at.Time
		}
		c.records[image.UID] = known
	}
	if known.generation == image.Generation {
		return
	}
	if known.generation != 0 { // a person has changed it, and wants to know
		known.due = time.Time{}
	}
	if image.Spec.From != nil {
		c.builtAt = time.Time{}
	}
	known.generation, known.spec, known.hasRow, known.failures = image.Generation, image.Spec, false, 0
	known.verdict = verdict{}
	var err error
	known.image, err = registry.ParseImage(image.Spec.Image)
	switch {
	case image.Spec.Suspend:
		known.verdict = verdict{reason: v1alpha1.ReasonSuspended, message: "spec.suspend is true: the image is not checked, and nothing is rebuilt"}
	case err != nil:
		known.verdict = verdict{reason: v1alpha1.ReasonInvalidSpec, message: "spec.image: " + err.Error()}
	}
}

// mirrored is what the row of a BaseImage is to hold.
func (r *record) mirrored() store.MirroredBaseImage {
	return store.MirroredBaseImage{
		UID: string(r.uid), Namespace: r.key.Namespace, Name: r.key.Name,
		Image: r.spec.Image, Repository: r.image.Repository, Tag: r.image.Tag,
		Digest: r.state.Digest, PreviousDigest: r.state.PreviousDigest,
	}
}
