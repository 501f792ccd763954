package evolution

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheMedianOfRoundsIsThatOfEachFigure(t *testing.T) {
	t.Parallel()
	rounds := []Approach{
		{Name: naive, Tasks: 1000, Succeeded: 100, PeakGoroutines: 3, Seconds: 9},
		{Name: naive, Tasks: 1000, Succeeded: 300, PeakGoroutines: 1, Seconds: 7},
		{Name: naive, Tasks: 1000, Succeeded: 200, PeakGoroutines: 2, Seconds: 8},
	}
	require.Equal(t, Approach{Name: naive, Tasks: 1000, Succeeded: 200, SuccessRate: 0.2, PeakGoroutines: 2, Seconds: 8}, median(rounds))
}

func TestOnlyRefusalsFromNowOnAreCounted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	write := func(text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	write("[7] FATAL:  sorry, too many clients already\n")
	refused, err := watchRefusals(path)
	require.NoError(t, err)
	write("[8] FATAL:  sorry, too many clients already\n[9] ERROR:  deadlock detected\n" +
		"[10] FATAL:  remaining connection slots are reserved for non-replication superuser connections\n")
	count, err := refused.count()
	require.NoError(t, err)
	require.Equal(t, 2, count)
}
