// Package fairness measures how long a build of three children waits behind one of
// thousands: in Penstock's fair order, and first come first served.
//
// The controller is a process of its own with its defaults. The clock runs from the
// small build's success until a watch shows its last Workflow. First come first
// served is the same queue whose rows a database trigger gives the time of their
// planning as their place.
package fairness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	smallCI       = "small"
	smallChildren = 3
	largeCI       = "large"
	// ahead is how many Workflows of the large build exist when the small one ends.
	ahead = 25
	// patience bounds one round; first come first served, 5,000 children need 100 s.
	patience = 5 * time.Minute
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "fairness",
	Sentence: "a build of thousands of children, then one of three: when are the three triggered",
	Run:      run,
}

// Result is the JSON.
type Result struct {
	SmallBuildSeconds float64 `json:"small_build_seconds"`
	FIFOSeconds       float64 `json:"fifo_seconds"`

	large int
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	return [][]string{
		{"large build", "small build", "fair order", "first come first served"},
		{
			fmt.Sprintf("%d children", r.large), fmt.Sprintf("%d children", smallChildren),
			fmt.Sprintf("%.2f s", r.SmallBuildSeconds), fmt.Sprintf("%.2f s", r.FIFOSeconds),
		},
	}
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	parts, err := at.Start(ctx, env.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, parts.Stop()) }()
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	if err := cluster.InstallController(ctx); err != nil {
		return nil, err
	}
	large := at.Size(5000, 500)
	var fair, fifo []float64
	for round := range at.Rounds {
		for _, order := range []order{fairOrder, firstComeFirstServed} {
			took, err := order.once(ctx, cluster, fmt.Sprintf("%s-%d", order.name, round+1), large)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", order.name, err)
			}
			at.Say("round %d, %s: the small build took %.2f s", round+1, order.name, took.Seconds())
			if order.name == fairOrder.name {
				fair = append(fair, took.Seconds())
			} else {
				fifo = append(fifo, took.Seconds())
			}
		}
	}
	return &Result{SmallBuildSeconds: measure.Median(fair), FIFOSeconds: measure.Median(fifo), large: large}, nil
}

// once measures in a namespace and a database of its own, with a controller that
// sees nothing else, and clears up.
func (o order) once(ctx context.Context, cluster *fixture.Cluster, namespace string, large int) (took time.Duration, err error) {
	url, err := o.database(ctx, cluster)
	if err != nil {
		return 0, err
	}
	if err := prepare(ctx, cluster, namespace, large); err != nil {
		return 0, err
	}
	controller, err := cluster.StartController(ctx, env.ControllerOptions{
		DatabaseURL: url, Env: []string{"WATCH_NAMESPACES=" + namespace},
	})
	if err != nil {
		return 0, err
	}
	took, err = overtake(ctx, cluster, namespace)
	// What is left of the large build is no longer of interest.
	return took, errors.Join(err, controller.Kill(), cluster.Clear(ctx, namespace))
}

func prepare(ctx context.Context, cluster *fixture.Cluster, namespace string, large int) error {
	if err := cluster.Namespace(ctx, namespace); err != nil {
		return err
	}
	for ci, children := range map[string]int{largeCI: large, smallCI: smallChildren} {
		if _, err := cluster.Family(ctx, namespace, ci, children); err != nil {
			return err
		}
		if err := cluster.Builds(ctx, namespace, ci, ci); err != nil {
			return err
		}
	}
	return nil
}

// overtake finishes the large build, and the small one once the large one is under
// way.
func overtake(ctx context.Context, cluster *fixture.Cluster, namespace string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := witness.Watch(ctx, cluster.Client, namespace)
	if err != nil {
		return 0, err
	}
	defer seen.Stop()
	if _, err := cluster.Finish(ctx, namespace, largeCI); err != nil {
		return 0, err
	}
	if _, err := seen.Await(ctx, largeCI, ahead); err != nil {
		return 0, err
	}
	finished, err := cluster.Finish(ctx, namespace, smallCI)
	if err != nil {
		return 0, err
	}
	last, err := seen.Await(ctx, smallCI, smallChildren)
	return last.Sub(finished), err
}
