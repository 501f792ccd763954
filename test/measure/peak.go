package measure

import (
	"context"
	"sync"
	"time"
)

// Peak keeps the highest value that it read.
type Peak struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	most   int
	err    error
}

// WatchPeak reads at once and then every interval until Stop. An error ends it.
func WatchPeak(ctx context.Context, interval time.Duration, read func(context.Context) (int, error)) *Peak {
	ctx, cancel := context.WithCancel(ctx)
	p := &Peak{cancel: cancel}
	p.done.Go(func() { p.run(ctx, interval, read) })
	return p
}

func (p *Peak) run(ctx context.Context, interval time.Duration, read func(context.Context) (int, error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		value, err := read(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.err = err
			return
		}
		p.most = max(p.most, value)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Stop ends the reading, waits for that, and returns the highest value.
func (p *Peak) Stop() (int, error) {
	p.cancel()
	p.done.Wait()
	return p.most, p.err
}
