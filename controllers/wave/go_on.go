package wave

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

const (
	// creators is how many CiBuilds are created at once, and createTimeout bounds one, waiting for
	// the API's token bucket included.
	creators, createTimeout = 4, 30 * time.Second
	// unseenFor is for how long the rows may not show a build that was created: one that was deleted
	// at once is in none, and is created anew.
	unseenFor = time.Minute
	// defaultMaxParallel and defaultMaxFailures are those of an image that is gone.
	defaultMaxParallel, defaultMaxFailures = 10, 5
	// maxMessage is how many bytes of a message an item takes.
	maxMessage = 1024
)

// goOn moves a wave on: deferred items whose time has come, builds that may begin, its end.
func (w *Waver) goOn(ctx context.Context, seen world, one store.Wave) error {
	if one.State == v1alpha1.WaveRunning {
		if err := w.undefer(ctx, seen, &one); err != nil {
			return err
		}
	}
	w.forget(one.Items)
	if err := w.create(ctx, seen, one, building(one.Items)); err != nil {
		return err
	}
	if one.State != v1alpha1.WaveRunning {
		return nil
	}
	step := wave.Next(one.Items, limitsOf(seen.image(one.ImageUID), one.Forgiven))
	switch {
	case step.Ends && step.HasFailed:
		return w.move(ctx, one, v1alpha1.WaveFailed, "some builds have failed")
	case step.Ends:
		return w.move(ctx, one, v1alpha1.WaveSucceeded, "")
	case step.Stops:
		return w.move(ctx, one, v1alpha1.WaveStopped, "more builds have failed than rebuild.maxFailures allows")
	case len(step.Start) == 0:
		return nil
	}
	return w.start(ctx, seen, one, step.Start)
}

func (w *Waver) move(ctx context.Context, one store.Wave, state v1alpha1.WaveState, message string) error {
	moved, err := w.Rows.MoveWave(ctx, one, state, message)
	if err != nil || !moved {
		return err
	}
	waves.WithLabelValues(string(state)).Inc()
	w.Log.Info("wave moved", "namespace", one.Namespace, "baseImage", one.Name, "wave", one.Number, "state", state)
	return nil
}

// limitsOf are those of the image as it is now.
func limitsOf(image *v1alpha1.BaseImage, forgiven int) wave.Limits {
	limits := wave.Limits{MaxParallel: defaultMaxParallel, MaxFailures: defaultMaxFailures, Forgiven: forgiven}
	if image == nil {
		return limits
	}
	if image.Spec.Rebuild.MaxParallel > 0 {
		limits.MaxParallel = int(image.Spec.Rebuild.MaxParallel)
	}
	if image.Spec.Rebuild.MaxFailures != nil {
		limits.MaxFailures = int(*image.Spec.Rebuild.MaxFailures)
	}
	if image.Spec.Suspend {
		limits.MaxParallel = 0
	}
	return limits
}

// forget drops what the rows show by now.
func (w *Waver) forget(items []wave.Item) {
	for _, item := range items {
		if item.BuildUID != "" {
			delete(w.made, buildOf(item))
			w.refused.forget(buildOf(item))
		}
	}
}

// building are the items whose build the rows do not show yet.
func building(items []wave.Item) []wave.Item {
	var found []wave.Item
	for _, item := range items {
		if item.State == wave.Building && item.BuildUID == "" {
			found = append(found, item)
		}
	}
	return found
}

// start commits that builds begin, and then creates them.
func (w *Waver) start(ctx context.Context, seen world, one store.Wave, items []wave.Item) error {
	for i := range items {
		items[i].State, items[i].Message = wave.Building, ""
	}
	moved, err := w.Rows.MoveWaveItems(ctx, one, items)
	if err != nil {
		return err
	}
	isMoved := map[string]bool{}
	for _, uid := range moved {
		isMoved[uid] = true
	}
	var begun []wave.Item
	for _, item := range items {
		if isMoved[item.PipelineUID] {
			begun = append(begun, item)
		}
	}
	return w.create(ctx, seen, one, begun)
}

// create creates the builds of items, as far as this process does not know that they exist. An
// item whose build can never be created has failed; one that is refused now is told why, and tried
// again.
func (w *Waver) create(ctx context.Context, seen world, one store.Wave, items []wave.Item) error {
	var missing []wave.Item
	for _, item := range items {
		if time.Since(w.made[buildOf(item)]) >= unseenFor && w.refused.isDue(buildOf(item), time.Now()) {
			missing = append(missing, item)
		}
	}
	var told []wave.Item
	var failed error
	for i, err := range bounded.ForEach(ctx, creators, createTimeout, missing, func(ctx context.Context, item wave.Item) error {
		return w.createOne(ctx, seen, one, item)
	}) {
		item := missing[i]
		switch {
		case err == nil:
			w.made[buildOf(item)] = time.Now()
			w.refused.forget(buildOf(item))
		case isFinal(err), isRefusal(err) && w.refused.note(buildOf(item), time.Now()):
			item.State, item.Message = wave.Failed, clip.Text("its CiBuild can't be created: "+err.Error(), maxMessage)
			told = append(told, item)
			w.refused.forget(buildOf(item))
		case isRefusal(err):
			item.Message = clip.Text("its CiBuild is refused, and tried again: "+err.Error(), maxMessage)
			told = append(told, item)
		default:
			failed = err
		}
	}
	if len(told) > 0 {
		if _, err := w.Rows.MoveWaveItems(ctx, one, told); err != nil {
			return err
		}
	}
	return failed
}

func buildOf(item wave.Item) types.NamespacedName {
	return types.NamespacedName{Namespace: item.Pipeline.Namespace, Name: item.BuildName}
}

// goneError says that the pipeline of an item does not exist any more.
type goneError struct{ pipeline string }

func (e *goneError) Error() string { return "CiPipeline " + e.pipeline + " does not exist any more" }

func (w *Waver) createOne(ctx context.Context, seen world, one store.Wave, item wave.Item) error {
	pipeline := seen.graph.Pipeline(item.Pipeline)
	if pipeline == nil || string(pipeline.UID) != item.PipelineUID {
		return &goneError{item.Pipeline.Name}
	}
	build := &v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{Namespace: item.Pipeline.Namespace, Name: item.BuildName},
		Spec: v1alpha1.CiBuildSpec{
			PipelineRef: v1alpha1.PipelineReference{Name: item.Pipeline.Name},
			Cause: &v1alpha1.BuildCause{
				Type: v1alpha1.CauseBaseImage, By: clip.Text(fmt.Sprintf("BaseImage %s/%s", one.Namespace, one.Name), 253),
				Message: clip.Text(fmt.Sprintf("wave %d: %s is now %s", one.Number, one.Image, one.Digest), maxMessage),
			},
		},
	}
	if source := pipeline.Spec.Source; source != nil {
		build.Spec.Revision, build.Spec.Ref = source.Revision, source.Revision
	}
	failpoint.Hit(failpoint.WaveBeforeCreate)
	err := w.Writer.Create(ctx, build)
	failpoint.Hit(failpoint.WaveAfterCreate)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	buildsMade.Inc()
	return nil
}

// undefer decides what becomes of items that wait for other base images.
func (w *Waver) undefer(ctx context.Context, seen world, one *store.Wave) error {
	var deferred []int
	for i, item := range one.Items {
		if item.State == wave.Deferred {
			deferred = append(deferred, i)
		}
	}
	if len(deferred) == 0 {
		return nil
	}
	facts, err := w.facts(ctx, seen, *one)
	if err != nil {
		return err
	}
	look := seen.graph.Look(types.NamespacedName{Namespace: one.Namespace, Name: one.Name}, facts)
	var moved []wave.Item
	for _, i := range deferred {
		item := one.Items[i]
		item.State, item.Message = look.Undefer(item)
		if item.State != wave.Deferred {
			moved = append(moved, item)
			one.Items[i] = item
		}
	}
	if len(moved) == 0 {
		return nil
	}
	_, err = w.Rows.MoveWaveItems(ctx, *one, moved)
	return err
}

// facts are what is known of everything that is built here, since the wave began.
func (w *Waver) facts(ctx context.Context, seen world, one store.Wave) (wave.Facts, error) {
	var names []types.NamespacedName
	var builders []string
	for i := range seen.images {
		image := &seen.images[i]
		names = append(names, client.ObjectKeyFromObject(image))
		if image.Spec.From == nil {
			continue
		}
		if builder := seen.graph.Pipeline(types.NamespacedName{Namespace: image.Namespace, Name: image.Spec.From.PipelineRef.Name}); builder != nil {
			builders = append(builders, string(builder.UID))
		}
	}
	known, err := w.Rows.NamedBaseImages(ctx, names)
	if err != nil {
		return wave.Facts{}, err
	}
	facts := wave.Facts{Began: one.Began, Bases: make(map[types.NamespacedName]wave.BaseFacts, len(known))}
	for name, image := range known {
		facts.Bases[name] = image.BaseFacts
	}
	facts.Rebuilds, err = w.Rows.NewestRebuilds(ctx, one, builders)
	return facts, err
}
