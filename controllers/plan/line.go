package plan

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/pkg/store"
)

// followLine says which ended stages are followed together: fewer after each
// failure, until the one that can't be followed stands alone and is set aside, so
// that it keeps no other.
type followLine struct {
	halved int                 // how often
	until  map[int64]time.Time // when those set aside are tried again
}

// size is how many stages the next batch has at most.
func (l *followLine) size() int { return max(followBatch>>l.halved, 1) }

// aside returns the tasks that are left alone now.
func (l *followLine) aside(now time.Time) []int64 {
	maps.DeleteFunc(l.until, func(_ int64, until time.Time) bool { return !until.After(now) })
	return slices.Sorted(maps.Keys(l.until))
}

// leave sets stages aside for followRetry whose reads at the API server failed.
func (l *followLine) leave(undecided []store.Ended, now time.Time) {
	for _, stage := range undecided {
		l.set(stage.ID, now.Add(followRetry))
	}
}

func (l *followLine) set(task int64, until time.Time) {
	if l.until == nil {
		l.until = map[int64]time.Time{}
	}
	l.until[task] = until
}

// followed takes note of how a batch of at least one stage went.
func (l *followLine) followed(batch []store.Ended, err error, now time.Time) {
	switch {
	case err == nil || errors.Is(err, store.ErrStale):
		l.halved = max(l.halved-1, 0)
	case len(batch) > 1:
		for l.halved++; l.size() >= len(batch); l.halved++ {
		}
	default:
		l.set(batch[0].ID, now.Add(asideFor))
	}
}
