package gauge

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

func TestATransactionThatHoldsEventsBackIsMeasuredAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
		var delay atomic.Pointer[store.EventDelay]
		delay.Store(&store.EventDelay{})
		h := NewHorizon(func(context.Context) (store.EventDelay, error) { return *delay.Load(), nil }, log)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = h.Start(ctx) }()
		look := func(age time.Duration) {
			delay.Store(&store.EventDelay{Age: age, PID: 4711, XID: "815", Role: "app", Database: "shop"})
			time.Sleep(queueInterval + time.Millisecond)
			synctest.Wait()
			require.InDelta(t, age.Seconds(), testutil.ToFloat64(eventDelay), 0)
		}
		look(20 * time.Second)
		require.Empty(t, lines, "it may end by itself")
		look(35 * time.Second)
		look(50 * time.Second)
		require.Len(t, lines, 1, "once a minute")
		for _, word := range []string{`"delay"="35s"`, `"pid"=4711`, `"xid"="815"`, `"role"="app"`, "SELECT pg_terminate_backend(4711)"} {
			require.Contains(t, lines[0], word)
		}
		require.Contains(t, howToEnd(store.EventDelay{Prepared: "two-phase", Database: "shop"}), "ROLLBACK PREPARED 'two-phase'")
	})
}
