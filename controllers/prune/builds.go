package prune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=delete

const (
	// deleters is how many builds are deleted at once, and most how many in one round.
	deleters, most = 2, 500
	// deleteTimeout bounds one delete, waiting for the API's token bucket included.
	deleteTimeout = time.Minute
)

var buildsPruned = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "penstock_pruned_builds_total",
	Help: "CiBuilds that were deleted because their CiPipeline keeps no more.",
})

func init() { metrics.Registry.MustRegister(buildsPruned) }

// BuildsConfig is what Builds needs.
type BuildsConfig struct {
	// Cache reads pipelines and builds from memory.
	Cache client.Reader
	// Writer deletes builds, in the background class of the API's token bucket.
	Writer client.Writer
	// Interval is the pause between two rounds over all CiPipelines.
	Interval time.Duration
	Log      logr.Logger
}

// Builds deletes CiBuilds that spec.buildHistory of their CiPipeline keeps no longer. Where
// that is not set, it deletes nothing.
type Builds struct {
	*loop.Loop
	BuildsConfig
}

// NewBuilds returns a loop that does nothing until it is started.
func NewBuilds(config BuildsConfig) *Builds {
	b := &Builds{BuildsConfig: config}
	b.Loop = loop.New(loop.Config{Name: "prune-builds", Run: b.runOnce, Interval: config.Interval, Jitter: rowsJitter, Log: config.Log})
	return b
}

// runOnce goes over every CiPipeline once.
func (b *Builds) runOnce(ctx context.Context) (time.Duration, error) {
	var pipelines v1alpha1.CiPipelineList
	if err := b.Cache.List(ctx, &pipelines, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list CiPipelines: %w", err)
	}
	kept := map[types.NamespacedName]v1alpha1.BuildHistory{}
	for i := range pipelines.Items {
		if history := pipelines.Items[i].Spec.BuildHistory; history != nil {
			kept[client.ObjectKeyFromObject(&pipelines.Items[i])] = *history
		}
	}
	if len(kept) == 0 {
		return 0, nil
	}
	surplus, err := b.surplus(ctx, kept)
	if err != nil {
		return 0, err
	}
	return 0, errors.Join(bounded.ForEach(ctx, deleters, deleteTimeout, surplus[:min(len(surplus), most)], b.delete)...)
}

// surplus lists the builds that their pipelines keep no longer.
func (b *Builds) surplus(ctx context.Context, kept map[types.NamespacedName]v1alpha1.BuildHistory) ([]*v1alpha1.CiBuild, error) {
	var builds v1alpha1.CiBuildList
	if err := b.Cache.List(ctx, &builds, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list CiBuilds: %w", err)
	}
	of := map[types.NamespacedName][]v1alpha1.CiBuild{}
	for i := range builds.Items {
		pipeline := types.NamespacedName{Namespace: builds.Items[i].Namespace, Name: builds.Items[i].Spec.PipelineRef.Name}
		if _, isKept := kept[pipeline]; isKept {
			of[pipeline] = append(of[pipeline], builds.Items[i])
		}
	}
	var surplus []*v1alpha1.CiBuild
	for pipeline, builds := range of {
		surplus = append(surplus, trigger.Surplus(builds, kept[pipeline])...)
	}
	return surplus, nil
}

// delete deletes the build that was judged, and no later one of its name.
func (b *Builds) delete(ctx context.Context, build *v1alpha1.CiBuild) error {
	// A build that has changed since, such as by a run that was requested, is judged anew.
	only := client.Preconditions{UID: &build.UID, ResourceVersion: &build.ResourceVersion}
	err := b.Writer.Delete(ctx, &v1alpha1.CiBuild{ObjectMeta: build.ObjectMeta}, only)
	if err == nil {
		buildsPruned.Inc()
		b.Log.V(1).Info("deleted a build that its CiPipeline keeps no longer", "namespace", build.Namespace, "build", build.Name)
		return nil
	}
	if isGoneOrChanged(err) {
		return nil
	}
	return fmt.Errorf("delete CiBuild %s/%s: %w", build.Namespace, build.Name, err)
}

func isGoneOrChanged(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
