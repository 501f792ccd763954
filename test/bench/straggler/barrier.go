package straggler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/store"
)

// worker is the barrier's name in the database.
const worker = "barrier"

// barrier triggers in batches of n, each of which waits for its slowest: the classic
// WaitGroup for every n. Queue and submission are the product's own.
func (r *race) barrier(ctx context.Context, n, children int) (time.Duration, error) {
	began := time.Now()
	made := 0
	for made < children {
		claims, err := r.product.Store.Claim(ctx, store.Lane{Kind: store.KindCd}, worker, n, r.product.Lease())
		if err != nil {
			return 0, err
		}
		if len(claims) == 0 {
			return 0, fmt.Errorf("the queue is empty after %d of %d", made, children)
		}
		if err := r.batch(ctx, claims); err != nil {
			return 0, err
		}
		made += len(claims)
	}
	return time.Since(began), nil
}

func (r *race) batch(ctx context.Context, claims []store.Claim) error {
	errs := make([]error, len(claims))
	completions := make([]store.Completion, len(claims))
	var batch sync.WaitGroup
	for i, claim := range claims {
		batch.Go(func() {
			made, err := r.product.Submitter.Submit(ctx, claim)
			completions[i] = store.Completion{ID: claim.ID, Attempt: claim.Attempt, Status: store.StatusSubmitted, WorkflowUID: made.UID}
			errs[i] = err
		})
	}
	batch.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := r.product.Store.Complete(ctx, worker, completions)
	return err
}
