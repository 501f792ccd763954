// Package wave observes changes of base images and the builds that they started, and writes the
// waves, the CiBuilds of their items, and status.wave of BaseImages.
package wave

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

const (
	// interval is how often it looks for changes that have settled, and for builds that have
	// ended without a signal; minInterval is the least time between two looks.
	interval, minInterval = 2 * time.Second, 250 * time.Millisecond
	// retry is the most that it rests after an error.
	retry = 5 * time.Second
)

// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages;cipipelines,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages/status,verbs=patch
// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=create

// Rows is what waves read and write.
type Rows interface {
	// DueWaves returns the base images of which a change has settled.
	DueWaves(ctx context.Context) ([]store.DueWave, error)
	// BeginWave commits a wave with all its items, once.
	BeginWave(ctx context.Context, due store.DueWave, items []wave.Item) (bool, error)
	// OpenWaves notes how builds have ended, and returns the waves that have not.
	OpenWaves(ctx context.Context) ([]store.Wave, error)
	// MoveWaveItems moves items of a wave that runs, and returns the pipelines of those that moved.
	MoveWaveItems(ctx context.Context, w store.Wave, items []wave.Item) ([]string, error)
	// MoveWave takes a wave to another state; false where it is not in that which was read.
	MoveWave(ctx context.Context, w store.Wave, state v1alpha1.WaveState, message string) (bool, error)
	// NewestWaves returns the newest wave of each base image, by UID.
	NewestWaves(ctx context.Context, imageUIDs []string) (map[string]store.WaveSummary, error)
	// NamedBaseImages returns what is known of base images.
	NamedBaseImages(ctx context.Context, names []types.NamespacedName) (map[types.NamespacedName]store.NamedBaseImage, error)
	// NewestRebuilds returns where the newest items of pipelines stand.
	NewestRebuilds(ctx context.Context, w store.Wave, pipelineUIDs []string) (map[string]wave.Rebuild, error)
}

// Config is what a Waver needs.
type Config struct {
	// Cache reads BaseImages and CiPipelines from memory.
	Cache client.Reader
	// Writer creates CiBuilds, and patches the status of BaseImages, in the background class of
	// the API's token bucket.
	Writer client.Client
	Rows   Rows
	// Events records events on BaseImages.
	Events events.EventRecorder
	Log    logr.Logger
}

// Waver carries waves out.
type Waver struct {
	*loop.Loop
	Config
	wake loop.Signal
	// isOpen tells that a wave has not ended.
	isOpen atomic.Bool
	// made is when this process created, or found, the builds that the rows do not show yet.
	made map[types.NamespacedName]time.Time
	// refused are the builds that a quota or a policy refuses.
	refused refusals
	// reported is when the wave of each base image was last told; rings when rings were.
	reported map[types.UID]time.Time
	rings    time.Time
}

// New returns a loop that does nothing until it is started.
func New(config Config) *Waver {
	w := &Waver{Config: config, made: map[types.NamespacedName]time.Time{}, refused: refusals{}, reported: map[types.UID]time.Time{}}
	w.Loop = loop.New(loop.Config{
		Name: "wave", Run: w.runOnce, Signal: &w.wake, Interval: interval, MinInterval: minInterval, Retry: retry, Log: config.Log,
	})
	return w
}

// Start implements manager.Runnable.
func (w *Waver) Start(ctx context.Context) error {
	err := w.Loop.Start(ctx)
	if !errors.Is(err, loop.ErrStarted) {
		forgetMetrics()
	}
	return err
}

// Wake says that builds may have ended. It never blocks.
func (w *Waver) Wake() {
	if w.isOpen.Load() {
		w.wake.Notify()
	}
}

// world is what one look goes by.
type world struct {
	images []v1alpha1.BaseImage
	graph  *wave.Graph
}

// runOnce begins the waves that are due, and goes on with each that is open. One that fails
// keeps no other.
func (w *Waver) runOnce(ctx context.Context) (time.Duration, error) {
	due, err := w.Rows.DueWaves(ctx)
	if err != nil {
		return 0, err
	}
	open, err := w.Rows.OpenWaves(ctx)
	if err != nil {
		return 0, err
	}
	w.isOpen.Store(len(open)+len(due) > 0)
	measure(open)
	if len(open)+len(due) == 0 && time.Since(w.rings) < ringsInterval {
		return 0, nil
	}
	seen, err := w.see(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, one := range due {
		errs = append(errs, w.begin(ctx, seen, one))
	}
	for _, one := range open {
		if err := w.goOn(ctx, seen, one); err != nil {
			crash.Tell(w.Log, "wave", err)
			errs = append(errs, fmt.Errorf("wave %d of BaseImage %s/%s: %w", one.Number, one.Namespace, one.Name, err))
		}
	}
	errs = append(errs, w.report(ctx, seen, due, open))
	return 0, errors.Join(errs...)
}

// see reads what there is from memory.
func (w *Waver) see(ctx context.Context) (world, error) {
	var images v1alpha1.BaseImageList
	var pipelines v1alpha1.CiPipelineList
	for _, list := range []client.ObjectList{&images, &pipelines} {
		if err := w.Cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return world{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	return world{images: images.Items, graph: wave.NewGraph(images.Items, pipelines.Items)}, nil
}

// image returns the BaseImage with the UID, or nil.
func (s world) image(uid string) *v1alpha1.BaseImage {
	for i := range s.images {
		if string(s.images[i].UID) == uid {
			return &s.images[i]
		}
	}
	return nil
}

// begin commits the wave of a change that has settled. That of a suspended image waits.
func (w *Waver) begin(ctx context.Context, seen world, due store.DueWave) error {
	image := seen.image(due.ImageUID)
	if image == nil || image.Spec.Suspend {
		return nil
	}
	items := wave.Begin(seen.graph, client.ObjectKeyFromObject(image), due.ImageUID, due.Wave+1)
	begun, err := w.Rows.BeginWave(ctx, due, items)
	if err != nil || !begun || len(items) == 0 {
		return err
	}
	failpoint.Hit(failpoint.WaveAfterCommit)
	waves.WithLabelValues("begun").Inc()
	w.Log.Info("wave begun", "namespace", due.Namespace, "baseImage", due.Name, "wave", due.Wave+1, "pipelines", len(items))
	w.tell(image, news{"WaveStarted", false, fmt.Sprintf("wave %d rebuilds %d CiPipelines on %s", due.Wave+1, len(items), due.Digest)})
	w.wake.Notify()
	return nil
}
