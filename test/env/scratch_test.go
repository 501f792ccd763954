package env

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASweepRemovesWhatKilledProcessesLeft(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	old := time.Now().Add(-2 * scratchAge)
	tests := map[string]struct {
		held, kept bool
		modified   time.Time
		want       bool
	}{
		"one that nobody holds goes":             {modified: old},
		"one that somebody holds stays":          {modified: old, held: true, want: true},
		"one that is just being made stays":      {modified: time.Now(), want: true},
		"one that was kept on purpose stays too": {modified: old, kept: true, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", scratchPrefix+"env-") //nolint:usetesting // a sweep looks in the system's own folder
			require.NoError(t, err)
			path := filepath.Join(dir, lockName)
			lock, err := tryLock(path)
			require.NoError(t, err)
			if !test.held {
				require.NoError(t, lock.Close())
			}
			if test.kept {
				require.NoError(t, os.Remove(path))
			} else {
				require.NoError(t, os.Chtimes(path, test.modified, test.modified))
			}
			sweepScratch()
			require.Equal(t, test.want, exists(dir))
			if test.held {
				require.NoError(t, lock.Close())
			}
		})
	}
}

func TestAPortIsLeasedOnce(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 200 {
		leased, err := leasePort()
		require.NoError(t, err)
		defer leased.release()
		require.False(t, seen[leased.number])
		seen[leased.number] = true
	}
}
