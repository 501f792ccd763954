// Package lifecycle checks that a background loop can be started once and stopped at any
// moment.
package lifecycle

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/pkg/loop"
)

const (
	// rounds is how many loops are started and stopped.
	rounds = 100
	// starters is how many try to start each at the same time.
	starters = 3
	// longestLife bounds the random time before a loop is stopped.
	longestLife = 200 * time.Microsecond
)

// Stress starts loops from several goroutines and stops them after a random short time.
// Exactly one start of each returns nil, and all others ErrStarted.
// Run it with the race detector, and with goleak in TestMain.
func Stress(t *testing.T, build func() manager.Runnable) {
	t.Helper()
	for range rounds {
		startAndStop(t, build())
	}
}

func startAndStop(t *testing.T, runnable manager.Runnable) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(rand.N(longestLife), stop)
	errs := make([]error, starters)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = runnable.Start(ctx) })
	}
	group.Wait()
	stop() // a second time
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
			continue
		}
		require.ErrorIs(t, err, loop.ErrStarted)
	}
	require.Equal(t, 1, succeeded, "starts that succeeded")
	require.ErrorIs(t, runnable.Start(t.Context()), loop.ErrStarted, "a loop that has ended is not started again")
}
