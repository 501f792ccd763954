// Package baseimage observes BaseImages, registries and finished builds, and writes which digest
// each image has: the table base_image, the status of BaseImages, and Kubernetes events.
package baseimage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/pkg/registry"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages/status,verbs=patch

const (
	// tick is how often it looks whether a check is due or wanted; minInterval is the least time
	// between two looks.
	tick, minInterval = time.Second, 50 * time.Millisecond
	// builtInterval is how often it looks for builds of images that are built here.
	builtInterval = 5 * time.Second
	// dependentsInterval is how often the pipelines are counted that are built on the images.
	dependentsInterval = 5 * time.Second
	// parallelism is how many checks are under way at once, and perRegistry how many of them at
	// one registry, so that one that is slow keeps none of the others waiting.
	parallelism, perRegistry = 64, 4
	// secretTimeout bounds reading a pull Secret, waiting for the API's token bucket included.
	secretTimeout = 15 * time.Second
	// shutdownTimeout is how long checks may go on after the context has ended.
	shutdownTimeout = time.Second
)

// Rows is where digests are kept.
type Rows interface {
	// MirrorBaseImages notes base images that exist, and returns what is known of them, by UID.
	MirrorBaseImages(ctx context.Context, images []store.MirroredBaseImage) (map[string]store.BaseImageState, error)
	// ForgetBaseImages notes that no others exist than these.
	ForgetBaseImages(ctx context.Context, existingUIDs []string) error
	// RecordBaseImageChecks notes what checks have found. A check that is missing in the answer
	// was not noted.
	RecordBaseImageChecks(ctx context.Context, checks []store.BaseImageCheck) (map[string]store.BaseImageState, error)
	// WantedBaseImages returns whose check somebody wants, and since when.
	WantedBaseImages(ctx context.Context) (map[string]time.Time, error)
	// BuiltDigests returns what the newest builds have made.
	BuiltDigests(ctx context.Context, images []store.BuiltImage) ([]string, error)
}

// Config is what a Checker needs.
type Config struct {
	// Cache reads BaseImages and CiPipelines from memory, and Live reads pull Secrets.
	Cache, Live client.Reader
	// Writer patches the status of BaseImages.
	Writer client.Client
	Rows   Rows
	Events events.EventRecorder
	// Guard decides which addresses are reached.
	Guard *outbound.Guard
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	Log logr.Logger
}

// Checker asks for the digest of every BaseImage, again and again.
type Checker struct {
	*loop.Loop
	Config
	registry *registry.Client
	pool     *bounded.Pool[attempt]
	wake     loop.Signal
	started  atomic.Bool

	// The loop alone uses these.
	hasForgotten bool
	builtAt      time.Time
	dependents   dependents

	mu       sync.Mutex
	records  map[types.UID]*record
	finished []finished
}

// New returns a checker that does nothing until it is started.
func New(config Config) *Checker {
	if config.Now == nil {
		config.Now = time.Now
	}
	c := &Checker{
		Config: config, records: map[types.UID]*record{},
		registry: registry.New(registry.Config{Guard: config.Guard, Now: config.Now}),
	}
	c.pool = bounded.NewPool(bounded.Config[attempt]{Limit: parallelism, Run: c.check, Done: c.checked})
	c.Loop = loop.New(loop.Config{
		Name: "baseimage", Run: c.runOnce, Signal: &c.wake, Interval: tick, MinInterval: minInterval, Retry: tick, Log: config.Log,
	})
	return c
}

// Watch has the cache read BaseImages and CiPipelines.
func (c *Checker) Watch(ctx context.Context, informers cache.Informers) error {
	for _, kind := range []client.Object{&v1alpha1.BaseImage{}, &v1alpha1.CiPipeline{}} {
		if _, err := informers.GetInformer(ctx, kind); err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	return nil
}

// Start checks until the context ends, and returns when no check is under way and no connection
// is open.
func (c *Checker) Start(ctx context.Context) error {
	if c.started.Swap(true) {
		return loop.ErrStarted
	}
	err := c.Loop.Start(ctx)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	_ = c.pool.Shutdown(ending) // what does not end in time is ended
	c.pool.Wait()
	c.registry.Close()
	forgetMetrics()
	return err
}

// runOnce exchanges with the database what is known, starts the checks that are due, and writes
// what has changed. Status is written also while the database is away.
func (c *Checker) runOnce(ctx context.Context) (time.Duration, error) {
	var list v1alpha1.BaseImageList
	if err := c.Cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list BaseImages: %w", err)
	}
	c.follow(list.Items)
	if err := c.countDependents(ctx, list.Items); err != nil {
		return 0, err
	}
	exchanged := c.exchange(ctx)
	if exchanged == nil {
		c.startDue(ctx)
	}
	c.measure()
	return 0, errors.Join(exchanged, c.report(ctx, list.Items))
}

// startDue starts the checks that are due, as far as there is room.
func (c *Checker) startDue(ctx context.Context) {
	for _, one := range c.due() {
		if err := c.pool.Go(ctx, one); err != nil { // a shutdown
			c.release(one)
		}
	}
}
