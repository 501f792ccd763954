package cpushare

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatOthersUseIsWhatIsNeitherIdleNorOurs(t *testing.T) {
	t.Parallel()
	before := cpuTime{all: 1000, idle: 500, ours: 100}
	for sentence, test := range map[string]struct {
		after cpuTime
		want  float64
	}{
		"nobody else works":             {cpuTime{all: 1200, idle: 600, ours: 200}, 1},
		"others take half":              {cpuTime{all: 1200, idle: 500, ours: 200}, 0.5},
		"others take nearly everything": {cpuTime{all: 1200, idle: 500, ours: 101}, leastShare},
		"rounding gives us no more":     {cpuTime{all: 1200, idle: 601, ours: 201}, 1},
		"the system does not tell":      {before, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, test.want, test.after.shareSince(before), 1e-9)
		})
	}
}

func TestAProcessWhoseNameHoldsBracketsIsRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "stat")
	require.NoError(t, os.WriteFile(file, []byte("42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99\n"), 0o600))
	pid, parent, used, err := readProcess(file)
	require.NoError(t, err)
	require.Equal(t, []int{42, 7, 100}, []int{pid, parent, int(used)})
}

func TestABoundGrowsAsTheShareShrinks(t *testing.T) {
	t.Parallel()
	require.Equal(t, 20*time.Second, Scale(10*time.Second, 0.5))
	require.Equal(t, 10*time.Second, Scale(10*time.Second, 1))
}
