package plan

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

// batchOf is ended stages with these many ids, from 1 on.
func batchOf(n int) []store.Ended {
	batch := make([]store.Ended, n)
	for i := range batch {
		batch[i].ID = int64(i + 1)
	}
	return batch
}

func TestABatchThatFailsIsHalvedUntilOneStandsAlone(t *testing.T) {
	t.Parallel()
	var line followLine
	failure, now := errors.New("poison"), time.Unix(1000, 0)
	sizes := []int{line.size()}
	for range 20 {
		line.followed(batchOf(line.size()), failure, now)
		if len(line.aside(now)) > 0 {
			break
		}
		sizes = append(sizes, line.size())
	}
	require.Equal(t, []int{100, 50, 25, 12, 6, 3, 1}, sizes)
	require.Equal(t, []int64{1}, line.aside(now))
}

// A batch that is smaller than the line would take is halved from its own size, or
// many failures would change nothing.
func TestASmallBatchIsHalvedFromItsOwnSize(t *testing.T) {
	t.Parallel()
	var line followLine
	line.followed(batchOf(4), errors.New("poison"), time.Unix(1000, 0))
	require.Less(t, line.size(), 4)
}

func TestABatchGrowsAgainAfterSuccessAndAfterAnothersSuccess(t *testing.T) {
	t.Parallel()
	var line followLine
	now := time.Unix(1000, 0)
	line.followed(batchOf(100), errors.New("poison"), now)
	line.followed(batchOf(50), errors.New("poison"), now)
	require.Equal(t, 25, line.size())
	line.followed(batchOf(25), nil, now)
	require.Equal(t, 50, line.size())
	line.followed(batchOf(50), store.ErrStale, now)
	require.Equal(t, 100, line.size())
	line.followed(batchOf(100), nil, now)
	require.Equal(t, 100, line.size())
}

func TestWhatIsSetAsideComesBack(t *testing.T) {
	t.Parallel()
	var line followLine
	now := time.Unix(1000, 0)
	line.followed([]store.Ended{{ID: 7}}, errors.New("poison"), now)
	line.followed([]store.Ended{{ID: 3}}, errors.New("poison"), now.Add(time.Second))
	require.Equal(t, []int64{3, 7}, line.aside(now.Add(time.Second)))
	require.Equal(t, []int64{3}, line.aside(now.Add(asideFor)))
	require.Empty(t, line.aside(now.Add(asideFor+time.Second)))
}
