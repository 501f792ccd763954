package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheProcessAlwaysEndsInTime(t *testing.T) {
	t.Parallel()
	const grace = 40 * time.Second
	failed := errors.New("lost the Lease")
	for sentence, test := range map[string]struct {
		takes time.Duration // after the signal
		begun bool
		err   error
		want  time.Duration
		fails bool
	}{
		"what finishes in time is waited for":               {takes: 30 * time.Second, begun: true, want: 30 * time.Second},
		"its error is told":                                 {takes: time.Second, begun: true, err: failed, want: time.Second, fails: true},
		"what takes too long is left alone":                 {takes: time.Hour, begun: true, want: grace + shutdownSlack, fails: true},
		"a cache that was never complete is not waited for": {takes: time.Hour, want: idleShutdown + shutdownSlack},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, signal := context.WithCancel(t.Context())
				w := &work{start: func(ctx context.Context) error {
					<-ctx.Done()
					time.Sleep(test.takes)
					return test.err
				}}
				w.begun.Store(test.begun)
				began := time.Now()
				signal()
				err := w.startBounded(ctx, grace)
				require.Equal(t, test.want, time.Since(began))
				require.Equal(t, test.fails, err != nil, "%v", err)
				time.Sleep(test.takes) // a bubble has to be empty at its end
			})
		})
	}
}
