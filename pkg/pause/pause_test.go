package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/pause"
)

func TestForEndsWithItsTimeOrWithItsContext(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		life, wanted, took time.Duration
		whole              bool
	}{
		"the time is over first":    {2 * time.Second, time.Second, time.Second, true},
		"the context has ended":     {time.Second, 2 * time.Second, time.Second, false},
		"there is nothing to wait":  {time.Second, 0, 0, true},
		"a time in the past":        {time.Second, -time.Second, 0, true},
		"it has ended before":       {0, time.Second, 0, false},
		"it has, and nothing waits": {0, 0, 0, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.life)
				defer cancel()
				began := time.Now()
				require.Equal(t, tc.whole, pause.For(ctx, tc.wanted))
				require.Equal(t, tc.took, time.Since(began))
			})
		})
	}
}
