package hold

import (
	"context"
	"errors"
	"fmt"
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

// errNotServed means that nobody can tell now which templates a cluster has.
var errNotServed = errors.New("the cluster does not answer")

// TemplatesMoved says that a template has appeared in another cluster. It never blocks.
func (h *Holder) TemplatesMoved() { h.changes.Notify() }

// templates returns who has the templates of a pipeline: the reader at home, or its cluster.
func (h *Holder) templates(home client.Reader, pipeline *v1alpha1.CdPipeline) (client.Reader, error) {
	cluster := trigger.ClusterOf(pipeline)
	if cluster == "" || h.Templates == nil {
		return home, nil
	}
	if there, known := h.Templates(cluster); known {
		return there, nil
	}
	return nil, errNotServed
}

// templateHolds are the holds of the stages that wait for a template which the reader, or the
// pipeline's cluster, does not have.
func (h *Holder) templateHolds(ctx context.Context, home client.Reader, pipeline *v1alpha1.CdPipeline, stages []trigger.Stage) (map[trigger.Stage]trigger.Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	reader, err := h.templates(home, pipeline)
	if err != nil {
		return nil, err
	}
	holds := map[trigger.Stage]trigger.Hold{}
	for _, stage := range stages {
		spec := trigger.StageSpec(pipeline, stage)
		if spec == nil {
			continue // its submitter says what became of it
		}
		hold, err := argo.TemplateHold(ctx, reader, trigger.ClusterOf(pipeline), pipeline.Namespace, spec.Workflow.TemplateRef)
		if err != nil {
			return nil, err
		}
		if hold != (trigger.Hold{}) {
			holds[stage] = hold
		}
	}
	return holds, nil
}

// stillHeld are the holds of stages while their cluster does not answer.
func (h *Holder) stillHeld(pipeline *v1alpha1.CdPipeline, stages []trigger.Stage) map[trigger.Stage]trigger.Hold {
	holds := map[trigger.Stage]trigger.Hold{}
	for _, stage := range stages {
		holds[stage] = trigger.Hold{
			Reason:  v1alpha1.ReasonTemplate,
			Message: fmt.Sprintf("whether its template exists in TargetCluster %s is not known, since the cluster does not answer", trigger.ClusterOf(pipeline)),
		}
	}
	return holds
}

// templateAppeared tells whether a template that something waits for exists now.
func (h *Holder) templateAppeared(ctx context.Context, pipeline *v1alpha1.CdPipeline, waiting store.Waiting) (bool, error) {
	if len(waiting.TemplateStages) == 0 {
		return false, nil
	}
	holds, err := h.templateHolds(ctx, h.Cache, pipeline, waiting.TemplateStages)
	if errors.Is(err, errNotServed) {
		return false, nil
	}
	return len(holds) < len(waiting.TemplateStages), err
}

// endTemplateWaits ends what has waited too long for templates that do not exist.
func (h *Holder) endTemplateWaits(ctx context.Context, waiting store.Waiting) error {
	if len(waiting.TemplateStages) == 0 || waiting.TemplateFor < h.TemplateWait {
		return nil
	}
	pipeline, err := get(ctx, h.Live, waiting)
	if err != nil || pipeline == nil {
		return err
	}
	holds, err := h.templateHolds(ctx, h.Live, pipeline, waiting.TemplateStages)
	if errors.Is(err, errNotServed) {
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
