package crash

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

func TestAPanicIsCountedAndLoggedWithItsStackAndNothingElseIs(t *testing.T) {
	t.Parallel()
	var lines []string
	log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	Tell(log, "here", nil)
	Tell(log, "here", errors.New("no panic"))
	require.Empty(t, lines)
	require.Zero(t, testutil.ToFloat64(panics.WithLabelValues("here")))

	err := bounded.Protect(func() error { panic("spilled") })
	Tell(log, "here", fmt.Errorf("submit: %w", err))
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "spilled")
	require.Contains(t, lines[0], "crash_test.go", "the stack")
	require.InDelta(t, 1, testutil.ToFloat64(panics.WithLabelValues("here")), 0)
}
