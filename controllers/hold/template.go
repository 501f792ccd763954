package hold

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// templateKinds are the kinds of template that a stage may wait for.
var templateKinds = []string{argo.KindTemplate, argo.KindClusterTemplate}

// watchTemplates makes the holder see, once it is started, which templates appear.
func (h *Holder) watchTemplates(ctx context.Context, informers cache.Informers) error {
	for _, kind := range templateKinds {
		informer, err := informers.GetInformer(ctx, argo.Template(kind))
		if meta.IsNoMatchError(err) {
			continue // readiness names what is not installed, and a trigger that needs it says so
		}
		if err != nil {
			return fmt.Errorf("watch %ss: %w", kind, err)
		}
		h.watched = append(h.watched, watched{informer, h.templateHandler()})
	}
	return nil
}

// templateHandler looks again where something waits for a template, whichever has appeared.
func (h *Holder) templateHandler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{AddFunc: func(any) {
		if h.awaitsTemplate.Load() {
			h.changes.Notify()
		}
	}}
}

// lookLater has the holder look again when the first wait for a template is over, or the
// first window opens, or the freeze ends.
func (h *Holder) lookLater(ctx context.Context, waiting []store.Waiting) {
	awaitsTemplate := false
	due := h.untilOpen(ctx, waiting, time.Now())
	for _, one := range waiting {
		if len(one.TemplateStages) == 0 {
			continue
		}
		awaitsTemplate = true
		if _, err := h.sources(h.Cache, one); err != nil {
			continue // its cluster tells when it is served again
		}
		due = sooner(due, max(h.TemplateWait-one.TemplateFor, 0)+time.Millisecond) // the end is a time before now
	}
	h.awaitsTemplate.Store(awaitsTemplate)
	h.timer.Stop()
	if due > 0 {
		h.timer.Reset(due)
	}
}

// sooner returns the shorter of two durations, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// errNotKnown means that nobody can tell now which templates a cluster has.
var errNotKnown = argo.ErrNotKnown

// TemplatesMoved says that a template has appeared in another cluster. It never blocks.
func (h *Holder) TemplatesMoved() { h.changes.Notify() }

// source is who has the templates of a cluster.
type source struct {
	cluster string
	client.Reader
}

// sources are who have the templates that a pipeline's stages wait for: the reader at home, and
// the clusters where they are to run, which need not be where the pipeline's new runs go.
func (h *Holder) sources(home client.Reader, waiting store.Waiting) ([]source, error) {
	var all []source
	for _, cluster := range waiting.TemplateClusters {
		if cluster == "" || h.Templates == nil {
			all = append(all, source{"", home})
			continue
		}
		there, known := h.Templates(cluster)
		if !known {
			return nil, errNotKnown
		}
		all = append(all, source{cluster, there})
	}
	return all, nil
}

// templateHolds are the holds of the stages that wait for a template which one of the clusters
// that they are to run in does not have.
func (h *Holder) templateHolds(ctx context.Context, home client.Reader, pipeline *v1alpha1.CdPipeline, waiting store.Waiting) (map[trigger.Stage]trigger.Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	sources, err := h.sources(home, waiting)
	if err != nil {
		return nil, err
	}
	holds := map[trigger.Stage]trigger.Hold{}
	for _, stage := range waiting.TemplateStages {
		spec := trigger.StageSpec(pipeline, stage)
		if spec == nil {
			continue // its submitter says what became of it
		}
		for _, from := range sources {
			hold, err := argo.TemplateHold(ctx, from, from.cluster, pipeline.Namespace, spec.Workflow.TemplateRef)
			if err != nil {
				return nil, err
			}
			if hold != (trigger.Hold{}) {
				holds[stage] = hold
			}
		}
	}
	return holds, nil
}

// stillHeld are the holds of stages while their cluster does not answer.
func stillHeld(waiting store.Waiting) map[trigger.Stage]trigger.Hold {
	holds := map[trigger.Stage]trigger.Hold{}
	for _, stage := range waiting.TemplateStages {
		holds[stage] = trigger.Hold{
			Reason:  v1alpha1.ReasonTemplate,
			Message: fmt.Sprintf("whether its template exists in TargetCluster %s is not known, since the cluster does not answer", strings.Join(waiting.TemplateClusters, ", ")),
		}
	}
	return holds
}

// templateAppeared tells whether a template that something waits for exists now.
func (h *Holder) templateAppeared(ctx context.Context, pipeline *v1alpha1.CdPipeline, waiting store.Waiting) (bool, error) {
	if len(waiting.TemplateStages) == 0 {
		return false, nil
	}
	holds, err := h.templateHolds(ctx, h.Cache, pipeline, waiting)
	if errors.Is(err, errNotKnown) {
		return false, nil
	}
	return len(holds) < len(waiting.TemplateStages), err
}

// endTemplateWaits ends what has waited too long for templates that do not exist.
func (h *Holder) endTemplateWaits(ctx context.Context, waiting store.Waiting) error {
	if len(waiting.TemplateStages) == 0 || waiting.TemplateFor < h.TemplateWait {
		return nil
	}
	if _, err := h.sources(h.Live, waiting); err != nil {
		return nil //nolint:nilerr // who waits for a cluster that does not answer is not late
	}
	pipeline, err := get(ctx, h.Live, waiting)
	if err != nil || pipeline == nil {
		return err
	}
	holds, err := h.templateHolds(ctx, h.Live, pipeline, waiting)
	if errors.Is(err, errNotKnown) {
		return nil
	}
	if err != nil {
		return err
	}
	for stage := range holds {
		if _, err := h.Rows.EndTemplateWaits(ctx, waiting.UID, stage, h.TemplateWait, h.overdue(pipeline, stage)); err != nil {
			return err
		}
		h.OnCommit()
	}
	return nil
}

func (h *Holder) overdue(pipeline *v1alpha1.CdPipeline, stage trigger.Stage) string {
	kind, key := argo.TemplateKey(pipeline.Namespace, trigger.StageSpec(pipeline, stage).Workflow.TemplateRef)
	return fmt.Sprintf("%s %s did not appear within %s (TEMPLATE_WAIT): create it, or correct workflow.templateRef, and then create a RunRequest with action Retry",
		kind, key.Name, h.TemplateWait)
}
