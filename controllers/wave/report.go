package wave

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/wave"
)

const (
	// reportInterval is the least time between two status writes that tell of progress alone, and
	// ringsInterval how often all BaseImages are looked at.
	reportInterval, ringsInterval = 2 * time.Second, 10 * time.Second
	// writeTimeout bounds one status write, waiting for the API's token bucket included.
	writeTimeout = 15 * time.Second
)

// news is a Kubernetes event.
type news struct {
	reason    string
	isWarning bool
	note      string
}

func (w *Waver) tell(image *v1alpha1.BaseImage, one news) {
	kind := corev1.EventTypeNormal
	if one.isWarning {
		kind = corev1.EventTypeWarning
	}
	w.Events.Eventf(image, nil, kind, one.reason, "Rebuild", "%s", clip.Note(one.note))
}

// report writes status.wave of images whose wave has moved, and now and then looks at all: at
// rings, and at what an earlier write has missed.
func (w *Waver) report(ctx context.Context, seen world, due []store.DueWave, open []store.Wave) error {
	looksAtAll := time.Since(w.rings) >= ringsInterval
	wanted := map[string]bool{}
	for _, one := range due {
		wanted[one.ImageUID] = true
	}
	for _, one := range open {
		wanted[one.ImageUID] = true
	}
	var uids []string
	for i := range seen.images {
		if uid := string(seen.images[i].UID); looksAtAll || wanted[uid] {
			uids = append(uids, uid)
		}
	}
	if len(uids) == 0 {
		w.rings = time.Now()
		return nil
	}
	newest, err := w.Rows.NewestWaves(ctx, uids)
	if err != nil {
		return err
	}
	var errs []error
	for _, uid := range uids {
		image := seen.image(uid)
		summary, has := newest[uid]
		if err := w.reportOne(ctx, seen.graph, image, summary, has); err != nil {
			errs = append(errs, err)
		}
	}
	if looksAtAll {
		w.rings = time.Now()
	}
	return errors.Join(errs...)
}

// reportOne writes the status of one image where it has changed. Progress alone is not told more
// often than every reportInterval.
func (w *Waver) reportOne(ctx context.Context, graph *wave.Graph, image *v1alpha1.BaseImage, summary store.WaveSummary, has bool) error {
	changed := image.DeepCopy()
	var told []news
	if has {
		told = waveNews(image.Status.Wave, summary)
		changed.Status.Wave = &summary.BaseImageWave
	}
	noteRing(changed, graph.Ring(client.ObjectKeyFromObject(image)))
	if equality.Semantic.DeepEqual(image.Status, changed.Status) {
		return nil
	}
	if len(told) == 0 && time.Since(w.reported[image.UID]) < reportInterval {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := w.Writer.Status().Patch(ctx, changed, client.MergeFromWithOptions(image, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it is looked at again
	}
	if err != nil {
		return fmt.Errorf("write status of BaseImage %s/%s: %w", image.Namespace, image.Name, err)
	}
	w.reported[image.UID] = time.Now()
	for _, one := range told {
		w.tell(changed, one)
	}
	return nil
}

// waveNews are the events that a change of the wave's state makes.
func waveNews(before *v1alpha1.BaseImageWave, now store.WaveSummary) []news {
	if before != nil && before.Number == now.Number && before.State == now.State {
		return nil
	}
	counts := fmt.Sprintf("wave %d: %d of %d built, %d failed, %d skipped", now.Number, now.Succeeded, now.Total, now.Failed, now.Skipped)
	if len(now.Failures) > 0 {
		counts += ": " + strings.Join(now.Failures, ", ")
	}
	switch now.State {
	case v1alpha1.WaveStopped:
		return []news{{"WaveStopped", true, counts + "; " + now.Message + ": mend the builds, then create a RunRequest with action Resume, or Cancel, and this BaseImage as its target"}}
	case v1alpha1.WaveSucceeded, v1alpha1.WaveCancelled:
		return []news{{"WaveFinished", false, counts}}
	case v1alpha1.WaveFailed:
		return []news{{"WaveFinished", true, counts}}
	default:
		return nil
	}
}

// noteRing names the ring that an image is in. Nothing in it is rebuilt by itself.
func noteRing(image *v1alpha1.BaseImage, ring string) {
	if ring == "" && meta.FindStatusCondition(image.Status.Conditions, v1alpha1.ConditionRebuilds) == nil {
		return
	}
	condition := metav1.Condition{
		Type: v1alpha1.ConditionRebuilds, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonReady), ObservedGeneration: image.Generation,
		Message: "a change rebuilds what is built on the image",
	}
	if ring != "" {
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonRing)
		condition.Message = clip.Text("the image is built on itself: "+ring+": pipelines in the ring are not rebuilt; take one of them out of it", maxMessage)
	}
	meta.SetStatusCondition(&image.Status.Conditions, condition)
}
