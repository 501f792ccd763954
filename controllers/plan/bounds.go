package plan

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
)

const (
	// chunkPairs is the most pairs of an artifact and a pipeline that one transaction plans: a
	// build with more is planned in chunks. A pair takes some 2 KiB while it is planned.
	chunkPairs = 4096
	// mostPairs is the most that are planned at once, over all builds and ended stages.
	mostPairs = 3 * chunkPairs
)

// Bounds bounds the memory that planning takes. Everything that plans in one process shares it.
type Bounds struct {
	chunk, most int
	free        *semaphore.Weighted
}

// NewBounds returns the bounds of one process.
func NewBounds() *Bounds { return newBounds(chunkPairs, mostPairs) }

func newBounds(chunk, most int) *Bounds {
	return &Bounds{chunk: chunk, most: most, free: semaphore.NewWeighted(int64(most))}
}

// take waits until so many pairs may be planned; what is larger than all that may be goes
// alone. The caller must call what it returns.
func (b *Bounds) take(ctx context.Context, pairs int) (release func(), err error) {
	weight := int64(min(max(pairs, 1), b.most))
	if err := b.free.Acquire(ctx, weight); err != nil {
		return nil, fmt.Errorf("wait for what else is planned: %w", err)
	}
	return func() { b.free.Release(weight) }, nil
}
