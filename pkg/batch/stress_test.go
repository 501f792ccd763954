package batch_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/batch"
)

// event is one of a row's, counted from 1.
type event struct{ row, number int }

// rows is a table that only ever moves forward; it fails one flush in five.
type rows struct {
	flushes int
	seen    map[int][]int
}

func (r *rows) flush(_ context.Context, events []event) error {
	r.flushes++
	if r.flushes%5 == 0 {
		return errDown
	}
	for _, e := range events {
		r.seen[e.row] = append(r.seen[e.row], e.number)
	}
	return nil
}

const (
	writers   = 8
	perWriter = 500
)

// write adds the events of one row, and waits for room where there is none.
func write(t *testing.T, c *batch.Committer[event], row int) {
	for number := 1; number <= perWriter; number++ {
		err := c.Add(event{row, number})
		for errors.Is(err, batch.ErrFull) {
			runtime.Gosched()
			err = c.Add(event{row, number})
		}
		require.NoError(t, err)
	}
}

func stress(t *testing.T, build func(batch.Config[event]) *batch.Committer[event]) *rows {
	table := &rows{seen: map[int][]int{}}
	committer := build(batch.Config[event]{Flush: table.flush, MinInterval: -1, MaxSize: 500, MaxWaiting: 1000})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- committer.Run(ctx) }()
	var group sync.WaitGroup
	for row := range writers {
		group.Go(func() { write(t, committer, row) })
	}
	group.Wait()
	stop()
	require.NoError(t, <-done)
	return table
}

func TestStressEveryItemIsCommittedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	table := stress(t, batch.New[event])
	for row := range writers {
		require.Len(t, table.seen[row], perWriter)
		for i, number := range table.seen[row] {
			require.Equal(t, i+1, number)
		}
	}
}

func TestStressOfEveryKeyTheLatestItemIsCommittedAndNoneOutOfOrder(t *testing.T) {
	t.Parallel()
	table := stress(t, func(config batch.Config[event]) *batch.Committer[event] {
		return batch.NewCoalescing(config, func(e event) int { return e.row })
	})
	for row := range writers {
		numbers := table.seen[row]
		require.IsIncreasing(t, append([]int{0}, numbers...))
		require.Equal(t, perWriter, numbers[len(numbers)-1])
	}
}

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	for range 300 {
		var kept, added int
		committer := batch.New(batch.Config[int]{MinInterval: -1, Flush: func(_ context.Context, items []int) error {
			kept += len(items)
			return nil
		}})
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { require.NoError(t, committer.Run(ctx)) })
		group.Go(func() {
			for committer.Add(added) == nil {
				added++
				runtime.Gosched()
			}
		})
		runtime.Gosched()
		stop()
		group.Wait()
		require.Equal(t, added, kept, "what Add took was committed")
	}
}
