package bounded_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// Every benchmark does the same small task through one way of bounding it; one iteration is one task, so that ns/op and
// allocs/op are its overhead:
//
//	go test ./pkg/bounded -run '^$' -bench . -benchmem -count 5
//
// test/bench/pools does the same through the pools of others.
const benchmarkLimit = 16

var done atomic.Int64

func add(n int) error {
	done.Add(int64(n))
	return nil
}

func BenchmarkPool(b *testing.B) {
	b.ReportAllocs()
	throughPool(b.N, 0)
}

// BenchmarkPoolTimeout shows what a timeout for each task adds: a context and its timer.
func BenchmarkPoolTimeout(b *testing.B) {
	b.ReportAllocs()
	throughPool(b.N, time.Minute)
}

func throughPool(tasks int, timeout time.Duration) {
	pool := bounded.NewPool(bounded.Config[int]{
		Limit:   benchmarkLimit,
		Timeout: timeout,
		Run:     func(_ context.Context, n int) error { return add(n) },
		Done:    func(int, error) {},
	})
	for n := range tasks {
		_ = pool.Go(context.Background(), n)
	}
	pool.Wait()
}

func BenchmarkMap(b *testing.B) {
	b.ReportAllocs()
	throughMap(b.N)
}

func throughMap(tasks int) {
	bounded.ForEach(context.Background(), benchmarkLimit, 0, make([]int, tasks), func(_ context.Context, n int) error {
		return add(n)
	})
}

func BenchmarkErrgroup(b *testing.B) {
	b.ReportAllocs()
	throughErrgroup(b.N)
}

// BenchmarkErrgroupTimeout can be ended as a whole, as a pool can.
func BenchmarkErrgroupTimeout(b *testing.B) {
	b.ReportAllocs()
	group, life := errgroup.WithContext(context.Background())
	group.SetLimit(benchmarkLimit)
	for n := range b.N {
		group.Go(func() error {
			_, cancel := context.WithTimeout(life, time.Minute)
			defer cancel()
			return add(n)
		})
	}
	_ = group.Wait()
}

func throughErrgroup(tasks int) {
	var group errgroup.Group
	group.SetLimit(benchmarkLimit)
	for n := range tasks {
		group.Go(func() error { return add(n) })
	}
	_ = group.Wait()
}

// BenchmarkGoroutines has no bound at all.
func BenchmarkGoroutines(b *testing.B) {
	b.ReportAllocs()
	var group sync.WaitGroup
	for n := range b.N {
		group.Go(func() { _ = add(n) })
	}
	group.Wait()
}
