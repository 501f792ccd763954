package evolution

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/penstock-cd/penstock/test/bench/product"
)

// The names of the approaches, as the JSON has them.
const (
	naive        = "naive"
	waitGroup    = "waitgroup"
	batchBarrier = "batch_barrier"
	pool         = "pool"
)

var names = []string{naive, waitGroup, batchBarrier, pool}

// application is what Postgres knows each approach by.
const application = "evolution"

// approach is a way to trigger a workload, ready to begin.
type approach struct {
	// run returns when the last task is through, well or badly.
	run       func(context.Context) error
	close     func()
	throttled func() int
	// lost is why tasks were lost, nil where none can be.
	lost *losses
}

// prepare connects to the API server without a limit of the client's own.
func (j job) prepare(ctx context.Context) (*approach, error) {
	config, err := clientcmd.BuildConfigFromFlags("", j.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1
	counted := &throttled{}
	config.Wrap(counted.wrap)
	var prepared *approach
	if j.Approach == pool {
		prepared, err = j.pool(ctx, config)
	} else {
		prepared, err = j.story(config)
	}
	if err != nil {
		return nil, err
	}
	prepared.throttled = counted.count
	return prepared, nil
}

// pool is Penstock's: one transaction for the plan, then dispatch.
func (j job) pool(ctx context.Context, config *rest.Config) (*approach, error) {
	dispatch, err := product.Open(ctx, product.Options{
		Cluster: config, DatabaseURL: j.DatabaseURL, ApplicationName: application,
	})
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context) error {
		if err := dispatch.Plan(ctx, j.Workload); err != nil {
			return err
		}
		_, err := dispatch.Drain(ctx, atOnce, j.Workload.Triggers())
		return err
	}
	return &approach{run: run, close: dispatch.Close}, nil
}

// throttled counts answers of 429, each try of its own.
type throttled struct{ answers atomic.Int64 }

func (t *throttled) count() int { return int(t.answers.Load()) }

func (t *throttled) wrap(next http.RoundTripper) http.RoundTripper {
	return product.RoundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && response.StatusCode == http.StatusTooManyRequests {
			t.answers.Add(1)
		}
		return response, err
	})
}
