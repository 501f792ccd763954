package pools_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"
	"github.com/stretchr/testify/require"
)

// The pools of others, to compare with the benchmarks of pkg/bounded: the same task, and as many at once.
//
//	go -C test/bench test ./pools -run '^$' -bench . -benchmem -count 5
const (
	limit = 16
	grace = 10 * time.Second
)

var done atomic.Int64

func add(n int) error {
	done.Add(int64(n))
	return nil
}

func BenchmarkPond(b *testing.B) {
	b.ReportAllocs()
	pool := pond.NewPool(limit)
	for n := range b.N {
		pool.SubmitErr(func() error { return add(n) })
	}
	pool.StopAndWait()
}

func BenchmarkAnts(b *testing.B) {
	b.ReportAllocs()
	pool, err := ants.NewPool(limit)
	require.NoError(b, err)
	defer func() { require.NoError(b, pool.ReleaseTimeout(grace)) }()
	var group sync.WaitGroup
	for n := range b.N {
		group.Add(1)
		require.NoError(b, pool.Submit(func() {
			defer group.Done()
			_ = add(n)
		}))
	}
	group.Wait()
}
