package baseimage

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
)

const (
	// writers is how many status writes are in flight at once, and maxWrites how many there are
	// in one look, so that checks do not wait for them long.
	writers, maxWrites = 8, 40
	// writeTimeout bounds one status write, waiting for the API's token bucket included.
	writeTimeout = 15 * time.Second
)

// write is one status patch.
type write struct {
	record           *record
	original, change *v1alpha1.BaseImage
	before           v1alpha1.BaseImageStatus
}

// report writes the statuses that have changed. One that fails does not keep the others, and is
// tried again.
func (c *Checker) report(ctx context.Context, images []v1alpha1.BaseImage) error {
	writes := c.writes(images)
	if len(writes) == maxWrites {
		defer c.wake.Notify()
	}
	var failed error
	for i, err := range bounded.ForEach(ctx, writers, writeTimeout, writes, c.apply) {
		crash.Tell(c.Log, "baseimage", err)
		// The next look has what the cache will show then.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failed = fmt.Errorf("write status of BaseImage %s/%s: %w", writes[i].original.Namespace, writes[i].original.Name, err)
		}
	}
	return failed
}

// writes are the status patches that are needed, as many as are made in one look.
func (c *Checker) writes(images []v1alpha1.BaseImage) []write {
	c.mu.Lock()
	defer c.mu.Unlock()
	var writes []write
	for i := range images {
		known := c.records[images[i].UID]
		if known == nil || known.generation != images[i].Generation {
			continue
		}
		if one, needed := known.write(&images[i], c.dependents.count[known.uid]); needed {
			writes = append(writes, one)
		}
		if len(writes) == maxWrites {
			break
		}
	}
	return writes
}

// write is the status patch of an image, where it needs one.
func (r *record) write(image *v1alpha1.BaseImage, dependents int32) (write, bool) {
	before := image.Status
	if r.written != nil && r.writtenOver == image.ResourceVersion {
		before = *r.written
	} else {
		r.written = nil
	}
	if r.verdict.reason == "" && readyOf(before) == nil { // the first check tells more
		return write{}, false
	}
	after := r.statusOf(before, dependents)
	if !needsWrite(before, after) {
		return write{}, false
	}
	original := image.DeepCopy()
	changed := original.DeepCopy()
	changed.Status = after
	return write{record: r, original: original, change: changed, before: before}, true
}

// apply patches the status, then records the events. The patch is refused where the object has
// changed since the cache has read it.
func (c *Checker) apply(ctx context.Context, w write) error {
	after := *w.change.Status.DeepCopy() // the answer to the patch is decoded into the object
	patch := client.MergeFromWithOptions(w.original, client.MergeFromWithOptimisticLock{})
	if err := c.Writer.Status().Patch(ctx, w.change, patch); err != nil {
		return err
	}
	c.mu.Lock()
	w.record.written, w.record.writtenOver = &after, w.original.ResourceVersion
	c.mu.Unlock()
	for _, one := range news(w.original.Spec.Image, w.before, after) {
		c.Events.Eventf(w.change, nil, one.kind, one.reason, "Check", "%s", one.note)
	}
	return nil
}
