package batch_test

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/pkg/batch"
)

// Only the latest state of a row matters, so states that wait are replaced.
func ExampleNewCoalescing() {
	type state struct{ row, phase string }
	committer := batch.NewCoalescing(batch.Config[state]{
		Flush: func(_ context.Context, states []state) error {
			fmt.Println(states)
			return nil
		},
	}, func(s state) string { return s.row })

	_ = committer.Add(state{"shop", "Pending"})
	_ = committer.Add(state{"blog", "Pending"})
	_ = committer.Add(state{"shop", "Running"})

	ctx, stop := context.WithCancel(context.Background())
	stop()
	fmt.Println(committer.Run(ctx), committer.Waiting())
	// Output:
	// [{shop Running} {blog Pending}]
	// <nil> 0
}
