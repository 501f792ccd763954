package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
)

// count is what has answered so far.
type count struct {
	mu               sync.Mutex
	began            time.Time
	first            time.Duration
	answered, failed int
}

func (c *count) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		return
	}
	if c.answered++; c.answered == 1 {
		c.first = time.Since(c.began)
	}
}

// race lists the pods of every cluster in one way.
func (h *hand) race(ctx context.Context, one order) (figures, error) {
	approaches := map[string]func(context.Context, *count) error{
		"sequential": h.sequential, "goroutine_each": h.goroutineEach, "batch_barrier": h.batchBarrier, "penstock": h.penstock,
	}
	run := approaches[one.Approach]
	if run == nil {
		return figures{}, fmt.Errorf("no approach %q", one.Approach)
	}
	seen := &count{began: time.Now()}
	answer, err := h.watched(ctx, func(ctx context.Context) error { return run(ctx, seen) })
	answer.FirstSeconds, answer.Answered, answer.Failed = seen.first.Seconds(), seen.answered, seen.failed
	return answer, err
}

// ask lists the pods of one cluster, with the same time-out in every approach.
func (c *count) ask(ctx context.Context, client *fleet.Client) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	c.add(list(ctx, client, pods))
}

func (h *hand) sequential(ctx context.Context, seen *count) error {
	for _, client := range h.clients {
		seen.ask(ctx, client)
	}
	return ctx.Err()
}

func (h *hand) goroutineEach(ctx context.Context, seen *count) error {
	var group sync.WaitGroup
	for _, client := range h.clients {
		group.Go(func() { seen.ask(ctx, client) })
	}
	group.Wait()
	return ctx.Err()
}

// batchBarrier asks a batch at a time, and waits for the last of it.
func (h *hand) batchBarrier(ctx context.Context, seen *count) error {
	for begin := 0; begin < len(h.clients); begin += parallelism {
		var group sync.WaitGroup
		for _, client := range h.clients[begin:min(begin+parallelism, len(h.clients))] {
			group.Go(func() { seen.ask(ctx, client) })
		}
		group.Wait()
	}
	return ctx.Err()
}

// penstock is what `penstock server` does, with its defaults. The stream beside it, which
// asks for nothing that is not asked for already, tells when the first has answered.
func (h *hand) penstock(ctx context.Context, seen *count) error {
	lister := resources.New(resources.Config{Clients: h})
	defer lister.Close()
	query := resources.Query{Kinds: []fleet.Kind{pods}, Targets: h.targets}
	streaming, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { seen.first = firstOf(streaming, lister, query, seen.began) })
	answer, err := lister.List(ctx, query)
	stop()
	group.Wait()
	for _, cluster := range answer.Clusters {
		if cluster.State == resources.Fresh {
			seen.answered++
			continue
		}
		seen.failed++
	}
	return err
}

var errEnough = errors.New("enough")

func firstOf(ctx context.Context, lister *resources.Lister, query resources.Query, began time.Time) (first time.Duration) {
	_ = lister.Stream(ctx, query, func(part resources.Part) error {
		if part.Cluster.State != resources.Fresh {
			return nil
		}
		first = time.Since(began)
		return errEnough
	})
	return first
}
