package main

import (
	"context"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/tune"
)

const (
	// limitsInterval is how often the limits are read, which seldom change.
	limitsInterval = 10 * time.Second
	// jitter is the part of an interval by which it is shorter or longer, so that many who
	// watch do not ask at once.
	jitter = 0.1
)

// watched is the queue, seen again and again.
type watched struct {
	o       *options
	metrics string
	every   time.Duration

	mu        sync.Mutex // one look at a time, and none behind the end
	connected *connection
	limits    limits
}

// limits are the controller's, as they were read last.
type limits struct {
	from  *controllerMetrics
	at    time.Time
	known map[string]tune.LaneLimit
	// why is why they are not known.
	why string
}

func (w *watched) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected != nil {
		w.connected.close()
	}
	if w.limits.from != nil {
		w.limits.from.close()
	}
}

// interval is the time until the next look.
func (w *watched) interval() time.Duration {
	return time.Duration(float64(w.every) * (1 - jitter + 2*jitter*rand.Float64()))
}

// look asks the server once. After an error the next look connects anew, as to another pod.
func (w *watched) look(ctx context.Context) (summary rest.QueueSummary, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected == nil {
		if w.connected, err = w.o.connect(ctx); err != nil {
			return summary, err
		}
	}
	query := url.Values{}
	if w.o.namespace != "" {
		query.Set("namespace", w.o.namespace)
	}
	err = w.connected.get(ctx, path("queue", "summary"), query, &summary)
	if err != nil {
		w.connected.close()
		w.connected = nil
		return summary, err
	}
	w.lookAtLimits(ctx)
	return summary, nil
}

// lookAtLimits reads them where it is time. Without them the rest is shown.
func (w *watched) lookAtLimits(ctx context.Context) {
	if time.Since(w.limits.at) < limitsInterval {
		return
	}
	w.limits.at = time.Now()
	var err error
	if w.limits.from == nil {
		if w.limits.from, err = w.o.controllerMetrics(ctx, w.metrics); err != nil {
			w.limits.known, w.limits.why = nil, err.Error()
			return
		}
	}
	seen, err := w.limits.from.read(ctx)
	if err != nil {
		w.limits.from.close()
		w.limits = limits{at: w.limits.at, why: err.Error()}
		return
	}
	w.limits.known, w.limits.why = seen.Lanes, ""
}
