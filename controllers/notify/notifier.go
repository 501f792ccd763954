// Package notify turns events into notifications, and sends them. It runs in the leader, apart
// from everything else: whatever a receiver does, nothing waits for it but its own channel.
package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// interval is how often it looks for what is due.
	interval = time.Second
	// restInterval is the least time between two looks: events that come fast are told together.
	restInterval = 200 * time.Millisecond
	// batch is how many events are read at once, and mostBatches how many batches of them before
	// what is due is looked at.
	batch, maxBatches = 500, 20
	// maxHalved makes a batch one event.
	maxHalved = 9
	// skipInterval is how often events are left out where nobody wants to be told: those that
	// are older than that, so that none is that comes just after the first policy.
	skipInterval = time.Minute
	// statusInterval is how often the status of channels and policies is looked at.
	statusInterval = 5 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=notificationchannels;notificationpolicies,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=notificationchannels/status;notificationpolicies/status,verbs=patch

// Rows is the outbox.
type Rows interface {
	// TellEvents turns events into notifications, and returns whether there may be more.
	TellEvents(ctx context.Context, most int, teller store.Teller) (more bool, err error)
	// SkipEvents leaves out all events of before a moment, and returns that of now.
	SkipEvents(ctx context.Context, before store.Horizon) (now store.Horizon, err error)
	// ReleaseNotifications gives back what a process of this name was sending when it ended.
	ReleaseNotifications(ctx context.Context, worker string) error
	// ClaimNotifications takes what is due.
	ClaimNotifications(ctx context.Context, worker string, lease time.Duration, busy []types.NamespacedName, most int) ([]route.Notification, error)
	// ClaimNextNotification takes what is due next of one channel.
	ClaimNextNotification(ctx context.Context, worker string, lease time.Duration, channel types.NamespacedName) (route.Notification, bool, error)
	// RecordDelivery notes what became of an attempt.
	RecordDelivery(ctx context.Context, worker string, delivery store.Delivery) error
	// ChannelCounts counts what waits and what was given up.
	ChannelCounts(ctx context.Context) (map[types.NamespacedName]store.ChannelCount, error)
	// Summaries returns what came of builds, by UID.
	Summaries(ctx context.Context, buildUIDs []string) (map[string]*store.Summary, error)
}

// Config is what a Notifier needs.
type Config struct {
	// Cache reads the objects from memory, and Live reads Secrets, in the class of triggers: all
	// else waits where they come in bursts.
	Cache, Live client.Reader
	// Writer patches status.
	Writer client.Client
	Rows   Rows
	Events events.EventRecorder
	// Guard decides which addresses are reached.
	Guard *outbound.Guard
	// Namespace is Penstock's own: policies there are told of clusters.
	Namespace string
	// Worker names this replica, also after a restart.
	Worker string
	// Workers is how many notifications are sent at once, and a few times as many where
	// receivers are slow.
	Workers int
	Log     logr.Logger
}

// Notifier makes and sends notifications.
type Notifier struct {
	*loop.Loop
	Config
	// status is a loop of its own, so that nothing that is sent waits for the API server.
	status      *loop.Loop
	expressions *route.Expressions
	client      *outbound.Client
	wake        *loop.Signal
	secrets     secrets
	sending     sync.WaitGroup
	// database keeps to one connection.
	database sync.Mutex

	// The loop alone uses these.
	isReleased bool
	halved     int
	skippedAt  time.Time
	skipped    store.Horizon

	mu       sync.Mutex
	channels map[types.NamespacedName]*health
	policies map[failedPolicy]string // what went wrong while they were used
}

// failedPolicy is a policy as it was when it failed.
type failedPolicy struct {
	types.NamespacedName
	generation int64
}

// New returns a Notifier that does nothing until it is started.
func New(config Config) (*Notifier, error) {
	expressions, err := route.NewExpressions()
	if err != nil {
		return nil, err
	}
	n := &Notifier{
		Config: config, expressions: expressions, client: config.Guard.NewClient(), wake: &loop.Signal{},
		channels: map[types.NamespacedName]*health{}, policies: map[failedPolicy]string{},
	}
	n.Loop = loop.New(loop.Config{
		Name: "notify", Run: n.runOnce, Signal: n.wake, Interval: interval, MinInterval: restInterval, Retry: 2 * time.Second, Jitter: 0.2, Log: config.Log,
	})
	n.status = loop.New(loop.Config{Name: "notify status", Run: n.report, Interval: statusInterval, Jitter: 0.2, OnError: n.notReported, Log: config.Log})
	return n, nil
}

func (n *Notifier) notReported(err error, retryIn time.Duration) {
	n.Log.Info("status of channels or policies not written, will retry", "retryIn", retryIn.String(), "error", err.Error())
}

// Wake says that there may be something to tell. It never blocks.
func (n *Notifier) Wake() { n.wake.Notify() }

// Watch has the cache read channels and policies.
func (n *Notifier) Watch(ctx context.Context, informers cache.Informers) error {
	for _, kind := range []client.Object{&v1alpha1.NotificationChannel{}, &v1alpha1.NotificationPolicy{}} {
		if _, err := informers.GetInformer(ctx, kind); err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	return nil
}

// Start makes and sends notifications until the context ends, and then waits a little for what
// is being sent.
func (n *Notifier) Start(ctx context.Context) error {
	defer n.client.Close()
	defer n.sending.Wait()
	n.sending.Go(func() { _ = n.status.Start(ctx) }) // it was not started before
	return n.Loop.Start(ctx)
}

// runOnce turns events into notifications, and has those sent that are due.
func (n *Notifier) runOnce(ctx context.Context) (time.Duration, error) {
	if err := n.release(ctx); err != nil {
		return 0, err
	}
	return 0, errors.Join(n.tell(ctx), n.send(ctx)) // what is due does not wait for what can't be told
}

// release gives back what this replica was sending when it was ended.
func (n *Notifier) release(ctx context.Context) error {
	if n.isReleased {
		return nil
	}
	err := n.withRows(func() error { return n.Rows.ReleaseNotifications(ctx, n.Worker) })
	n.isReleased = err == nil
	return err
}

// withRows uses the database, one call at a time.
func (n *Notifier) withRows(use func() error) error {
	n.database.Lock()
	defer n.database.Unlock()
	return use()
}

// tell reads events until there are no more, but for so many batches at most that what is due
// does not wait.
func (n *Notifier) tell(ctx context.Context) error {
	targets, err := n.targets(ctx)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return n.skip(ctx)
	}
	more := true
	for range maxBatches {
		if !more {
			return nil
		}
		err := n.withRows(func() (err error) {
			more, err = n.Rows.TellEvents(ctx, max(batch>>n.halved, 1), &teller{targets: targets, labels: n.labelsOf(ctx), failed: n.policyFailed})
			return err
		})
		if err != nil {
			n.halved = min(n.halved+1, maxHalved) // what takes too long together may not alone
			return err
		}
		n.halved = 0
	}
	n.Wake()
	return nil
}

func (n *Notifier) skip(ctx context.Context) error {
	if time.Since(n.skippedAt) < skipInterval {
		return nil
	}
	n.skippedAt = time.Now()
	return n.withRows(func() (err error) {
		n.skipped, err = n.Rows.SkipEvents(ctx, n.skipped)
		return err
	})
}
