// Package delivery works off what webhooks brought: it has builds made, finished or checked, and
// notes what came of each delivery. It runs in the leader, apart from everything else.
package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const (
	// interval is how often it looks for what is due, and restInterval the least time between
	// two looks.
	interval, restInterval = 500 * time.Millisecond, 10 * time.Millisecond
	// workers is how many deliveries are worked off at once, each of another repository. A
	// delivery holds a body and what was read of it.
	workers = 8
)

// +kubebuilder:rbac:groups=penstock.dev,resources=receivers,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=cipipelines,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=create;get
// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds/status,verbs=patch

// Rows are the deliveries.
type Rows interface {
	// ReleaseDeliveries gives back what the leader before was working on when it ended.
	ReleaseDeliveries(ctx context.Context) error
	// ClaimDeliveries takes what is due: the first of each receiver and repository.
	ClaimDeliveries(ctx context.Context, worker string, lease time.Duration, most int) ([]store.WebhookDelivery, error)
	// ClaimNextDelivery takes the next of the same receiver and repository as one that was
	// worked off, where it is due.
	ClaimNextDelivery(ctx context.Context, worker string, lease time.Duration, after store.WebhookDelivery) (next store.WebhookDelivery, found bool, err error)
	// FinishDelivery notes what came of a delivery.
	FinishDelivery(ctx context.Context, worker string, delivery store.WebhookDelivery, failed bool, outcome, message string) error
	// RetryDelivery has a delivery worked off again after a while.
	RetryDelivery(ctx context.Context, worker string, delivery store.WebhookDelivery, delay time.Duration, message string) error
	// OpenDeliveries counts what is not worked off, and returns for how long the first has
	// waited.
	OpenDeliveries(ctx context.Context) (open int64, oldest time.Duration, err error)
}

// Checks are what finds out about base images.
type Checks interface {
	// WantBaseImageChecks brings the checks forward of a namespace's base images of a
	// repository and tag, as package registry has them. It returns their names.
	WantBaseImageChecks(ctx context.Context, namespace, repository, tag string) ([]string, error)
}

// Config is what a Worker needs.
type Config struct {
	// Cache reads receivers and pipelines from memory, and Live reads builds.
	Cache, Live client.Reader
	// Writer creates builds and patches their status.
	Writer client.Client
	Rows   Rows
	Checks Checks
	// Worker names this replica, also after a restart.
	Worker string
	Log    logr.Logger
}

// Worker works deliveries off.
type Worker struct {
	*loop.Loop
	Config
	expressions *webhook.Expressions
	wake        *loop.Signal
	working     sync.WaitGroup
	// database keeps to one connection.
	database sync.Mutex

	mu   sync.Mutex
	busy int
	// forbidden is how often in a row deliveries that are open were forbidden, by their IDs.
	forbidden map[int64]int

	// The loop alone uses these.
	isReleased bool
	measuredAt time.Time
}

// New returns a worker that does nothing until it is started.
func New(config Config) (*Worker, error) {
	expressions, err := webhook.NewExpressions()
	if err != nil {
		return nil, err
	}
	w := &Worker{Config: config, expressions: expressions, wake: &loop.Signal{}, forbidden: map[int64]int{}}
	w.Loop = loop.New(loop.Config{
		Name: "delivery", Run: w.runOnce, Signal: w.wake, Interval: interval, MinInterval: restInterval, Retry: 2 * time.Second, Jitter: 0.2, Log: config.Log,
	})
	return w, nil
}

// Start works deliveries off until the context ends, and then waits for those under way.
func (w *Worker) Start(ctx context.Context) error {
	defer w.working.Wait()
	return w.Loop.Start(ctx)
}

// runOnce takes as many deliveries as workers are free.
func (w *Worker) runOnce(ctx context.Context) (time.Duration, error) {
	if err := w.release(ctx); err != nil {
		return 0, err
	}
	if err := w.measure(ctx); err != nil {
		return 0, err
	}
	free := workers - w.count(0)
	if free == 0 {
		return 0, nil // who ends wakes
	}
	var claimed []store.WebhookDelivery
	err := w.withRows(func() (err error) {
		claimed, err = w.Rows.ClaimDeliveries(ctx, w.Worker, lease, free)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, delivery := range claimed {
		w.count(1)
		w.working.Go(func() {
			defer w.wake.Notify()
			defer w.count(-1)
			w.handleRow(ctx, delivery)
		})
	}
	return 0, nil
}

// count adds to the number of deliveries under way, and returns it.
func (w *Worker) count(add int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy += add
	return w.busy
}

// release gives back, once, what the leader before was working on when it was ended.
func (w *Worker) release(ctx context.Context) error {
	if w.isReleased {
		return nil
	}
	err := w.withRows(func() error { return w.Rows.ReleaseDeliveries(ctx) })
	w.isReleased = err == nil
	return err
}

// withRows uses the database, one call at a time.
func (w *Worker) withRows(use func() error) error {
	w.database.Lock()
	defer w.database.Unlock()
	return use()
}
