package retryafter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAHeaderIsSecondsOrADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": time.Second, "never": time.Second, "-5": time.Second, "0": time.Second, "30": 30 * time.Second, "999999999999": time.Hour,
		"Thu, 26 Nov 2026 12:01:00 GMT": time.Minute, "Thu, 26 Nov 2020 12:01:00 GMT": time.Second, "Thu, 26 Nov 2036 12:01:00 GMT": time.Hour,
	} {
		require.Equal(t, want, Parse(value, now, time.Second, time.Hour), value)
	}
}
