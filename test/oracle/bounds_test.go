package oracle_test

import (
	"strings"
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
	generous := oracle.Limits{InFlight: 100, Builds: 7, Connections: 100, WritesPerSecond: 100, WriteBurst: 100}
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

func TestBuildsHaveALimitOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.limits = &oracle.Limits{InFlight: 100, Builds: 7, Connections: 100, WritesPerSecond: 1000, WriteBurst: 1000}
	s.execute(`INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, status, priority, fair_at)
		VALUES ('ci', 'default', 'CiPipeline', 'ci', 'ci', 'a build', 'a-build', 'Pending', 0, now())`)
	s.overlap(100, time.Second)
	for i := range 8 {
		s.log("a-build", 409)
		event := &s.audit[len(s.audit)-1]
		event.Received, event.Finished = time.UnixMilli(int64(i)), time.UnixMilli(int64(i)).Add(time.Second)
	}
	violations, err := oracle.Violations(t.Context(), s.world())
	require.NoError(t, err)
	require.Contains(t, violations, "I6: 8 builds were in flight at once, the limit is 7")
	require.NotContains(t, strings.Join(violations, "\n"), "triggers were in flight", "100 stages are as many as may be")
}
