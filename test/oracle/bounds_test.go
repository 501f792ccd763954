package oracle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/oracle"
)

// overlap gives the world n creates that begin every millisecond, and that take long.
func (s *scene) overlap(n int, long time.Duration) {
	for i := range n {
		s.log("w", 409)
		event := &s.audit[len(s.audit)-1]
		event.Received = time.UnixMilli(int64(i))
		event.Finished = event.Received.Add(long)
	}
}

func TestWhatIsAboveTheLimitsIsNamed(t *testing.T) {
	t.Parallel()
	generous := oracle.Limits{InFlight: 100, Connections: 100, WritesPerSecond: 100, WriteBurst: 100}
	for sentence, test := range map[string]struct {
		spoil func(s *scene)
		want  []string
	}{
		"as many in flight as may be":    {func(s *scene) { s.overlap(100, time.Second) }, nil},
		"one more in flight than may be": {func(s *scene) { s.overlap(101, time.Second) }, []string{"I6: 101 triggers were in flight at once, the limit is 100"}},
		"writes faster than the bucket lets through": {
			func(s *scene) { s.overlap(120, time.Microsecond) },
			[]string{"I6: at 100 a second the writes need a burst of 108, the limit is 100"},
		},
		"more connections than may be": {func(s *scene) { s.connections = 101 }, []string{"I6: there were 101 connections at once, the limit is 100"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.limits = &generous
			test.spoil(s)
			violations, err := oracle.Violations(t.Context(), s.world())
			require.NoError(t, err)
			require.Equal(t, test.want, violations)
		})
	}
}
