package server

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// drain is how a server ends without a request that nobody answers. It is not ready any more, and
// goes on for a while all the same: who has not heard of that yet still connects. Meanwhile each
// answer says that its connection ends with it, so that no client sends its next request at the
// moment at which its connection is closed.
type drain struct {
	ready *readiness
	takes time.Duration
	began atomic.Bool
}

// run returns when the listeners may be closed.
func (d *drain) run(ctx context.Context) {
	d.ready.stop()
	d.began.Store(true)
	timer := time.NewTimer(d.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// closing has the connections of those closed who are answered while the server drains. Over
// HTTP/2, net/http sends GOAWAY for this header.
func (d *drain) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.began.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
