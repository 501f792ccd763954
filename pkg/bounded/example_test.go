package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

// A stream of tasks: fed until the context ends, then given ten seconds to end.
func ExamplePool() {
	pool := bounded.NewPool(bounded.Config[string]{
		Limit:   1,
		Timeout: 5 * time.Second,
		Run: func(_ context.Context, name string) error {
			if name == "broken" {
				panic("no template")
			}
			return nil
		},
		Done: func(name string, err error) { fmt.Println(name, err) },
	})

	for _, name := range []string{"shop", "broken", "blog"} {
		if err := pool.Go(context.Background(), name); err != nil {
			return
		}
	}

	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(pool.Shutdown(grace), pool.Go(grace, "late"))
	// Output:
	// shop <nil>
	// broken panic: no template
	// blog <nil>
	// <nil> pool is closed
}

// The limit follows what the servers bear; nothing has to be started again.
func ExamplePool_SetLimit() {
	release := make(chan struct{})
	pool := bounded.NewPool(bounded.Config[int]{
		Limit: 1,
		Run:   func(context.Context, int) error { <-release; return nil },
		Done:  func(int, error) {},
	})
	_ = pool.Go(context.Background(), 1)
	fmt.Println(pool.InFlight(), pool.Free())
	pool.SetLimit(3)
	_ = pool.Go(context.Background(), 2)
	fmt.Println(pool.InFlight(), pool.Free())
	close(release)
	pool.Wait()
	fmt.Println(pool.InFlight(), pool.Free(), pool.Peak())
	// Output:
	// 1 0
	// 2 1
	// 0 3 2
}

// Take only as much from the queue as can start now, and come back when a slot is free.
func ExamplePool_Freed() {
	queue := []int{1, 2, 3, 4, 5}
	pool := bounded.NewPool(bounded.Config[int]{
		Limit: 2,
		Run:   func(context.Context, int) error { return nil },
		Done:  func(int, error) {},
	})
	for len(queue) > 0 {
		claimed := queue[:min(pool.Free(), len(queue))]
		for _, task := range claimed {
			_ = pool.Go(context.Background(), task)
		}
		queue = queue[len(claimed):]
		<-pool.Freed()
	}
	pool.Wait()
	fmt.Println(len(queue), pool.Peak() <= 2)
	// Output: 0 true
}

// One answer for each input, in their order; some of them may be errors.
func ExampleMap() {
	sizes := bounded.Map(context.Background(), 4, time.Second, []string{"east", "west", "south"},
		func(_ context.Context, cluster string) (int, error) {
			if cluster == "west" {
				return 0, errors.New("unreachable")
			}
			return len(cluster), nil
		})
	for _, size := range sizes {
		fmt.Println(size.Value, size.Err)
	}
	// Output:
	// 4 <nil>
	// 0 unreachable
	// 5 <nil>
}

// Work without a result: errors.Join makes one error of those that failed.
func ExampleForEach() {
	errs := bounded.ForEach(context.Background(), 2, time.Second, []int{1, 2, 3},
		func(_ context.Context, n int) error {
			if n%2 == 1 {
				return fmt.Errorf("input %d is odd", n)
			}
			return nil
		})
	fmt.Println(errors.Join(errs...))
	// Output:
	// input 1 is odd
	// input 3 is odd
}
