package baseimage

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/store"
)

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
