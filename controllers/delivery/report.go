package delivery

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

// report tells a build how it stands, after it was created where there is none.
func (w *Worker) report(ctx context.Context, j job) (result, error) {
	report := j.event.Report
	if report.Build == "" {
		return w.reportOfPipeline(ctx, j)
	}
	if len(validation.IsDNS1123Subdomain(report.Build)) > 0 {
		return noMatch("%q is no name that a CiBuild can have", report.Build), nil
	}
	var build v1alpha1.CiBuild
	err := w.Live.Get(ctx, types.NamespacedName{Namespace: j.delivery.Namespace, Name: report.Build}, &build)
	switch {
	case apierrors.IsNotFound(err) && report.Pipeline == "":
		return noMatch("there is no CiBuild %s", report.Build), nil
	case apierrors.IsNotFound(err):
		return w.reportOfPipeline(ctx, j)
	case err != nil:
		return result{}, fmt.Errorf("get CiBuild %s: %w", report.Build, err)
	}
	return w.tell(ctx, j, &build)
}

// reportOfPipeline creates a build, of the name that was reported or of one that is derived, and
// tells it how it stands.
func (w *Worker) reportOfPipeline(ctx context.Context, j job) (result, error) {
	report := j.event.Report
	pipeline, why, err := w.pipeline(ctx, j, report.Pipeline)
	if err != nil || why.outcome != "" {
		return why, err
	}
	if report.Phase != "" && pipeline.Spec.Workflow != nil {
		return refused("builds of %s run here: their Workflows alone tell how they stand", pipeline.Name), nil
	}
	build := buildOf(j, pipeline, report.Revision, report.Ref)
	if report.Build != "" {
		build.Name = report.Build
	}
	if why := untellable(build, report); why.outcome != "" {
		return why, nil
	}
	_, err = w.create(ctx, j, build)
	switch {
	case err != nil && j.isRefused(err):
		return refused("%s", whyRefused(err)), nil
	case err != nil:
		return result{}, err
	case report.Phase == "":
		return result{Built, "Built " + build.Name}, nil
	}
	var created v1alpha1.CiBuild
	if err := w.Live.Get(ctx, client.ObjectKeyFromObject(build), &created); err != nil {
		return result{}, fmt.Errorf("get CiBuild %s: %w", build.Name, err)
	}
	return w.tell(ctx, j, &created)
}

// untellable is why a build that is to be created could not be told a report: it would be Pending
// for ever. Nothing where it can.
func untellable(build *v1alpha1.CiBuild, report webhook.Report) result {
	if report.Phase == "" {
		return result{}
	}
	changed, why := told(build, report)
	if changed == nil {
		return why
	}
	if _, err := argo.CheckedArtifacts(changed.Status.Artifacts); err != nil {
		return refused("%s", err)
	}
	return result{}
}

// pipeline returns the pipeline of a name, or why nothing may be done about it.
func (w *Worker) pipeline(ctx context.Context, j job, name string) (*v1alpha1.CiPipeline, result, error) {
	var pipeline v1alpha1.CiPipeline
	err := w.Cache.Get(ctx, types.NamespacedName{Namespace: j.delivery.Namespace, Name: name}, &pipeline)
	switch {
	case apierrors.IsNotFound(err):
		return nil, noMatch("there is no CiPipeline %s", name), nil
	case err != nil:
		return nil, result{}, fmt.Errorf("get CiPipeline %s: %w", name, err)
	case !j.receiver.Spec.Concerns("CiPipeline", name):
		return nil, noMatch("CiPipeline %s is none of the receiver's targets", name), nil
	case !isOfSource(j.event.Report.Repositories, pipeline.Spec.Source):
		return nil, refused("CiPipeline %s has another source than %s", name, j.event.Report.Repositories[0].Name), nil
	}
	return &pipeline, result{}, nil
}

// isOfSource tells whether a report can be about builds of a source; one that names no repository
// can.
func isOfSource(repositories []webhook.Repository, source *v1alpha1.Source) bool {
	if len(repositories) == 0 || source == nil {
		return true
	}
	repository, found := webhook.ParseRepository(source.URL)
	return !found || repository.IsOneOf(repositories)
}

// tell patches the status of a build.
func (w *Worker) tell(ctx context.Context, j job, build *v1alpha1.CiBuild) (result, error) {
	report := j.event.Report
	if report.Pipeline != "" && report.Pipeline != build.Spec.PipelineRef.Name {
		return refused("CiBuild %s is one of %s, not of %s", build.Name, build.Spec.PipelineRef.Name, report.Pipeline), nil
	}
	pipeline, why, err := w.pipeline(ctx, j, build.Spec.PipelineRef.Name)
	if err != nil || why.outcome != "" {
		return why, err
	}
	if pipeline.Spec.Workflow != nil {
		return refused("builds of %s run here: their Workflows alone tell how they stand", pipeline.Name), nil
	}
	changed, why := told(build, report)
	if changed == nil {
		return why, nil
	}
	// Jobs that run beside each other may report artifacts meanwhile, which are not to be lost.
	err = w.Writer.Status().Patch(ctx, changed, client.MergeFromWithOptions(build, client.MergeFromWithOptimisticLock{}))
	failpoint.Hit(failpoint.DeliveryAfterTell)
	switch {
	case err != nil && j.isRefused(err):
		return refused("%s", whyRefused(err)), nil
	case apierrors.IsNotFound(err):
		return noMatch("CiBuild %s was deleted", build.Name), nil
	case err != nil:
		return result{}, fmt.Errorf("report CiBuild %s: %w", build.Name, err)
	}
	return result{Reported, fmt.Sprintf("Reported %s as %s", build.Name, changed.Status.Phase)}, nil
}

// told returns a build as it is after a report, or nil and why it stays as it is.
func told(build *v1alpha1.CiBuild, report webhook.Report) (*v1alpha1.CiBuild, result) {
	changed := build.DeepCopy()
	for _, artifact := range report.Artifacts {
		if !slices.Contains(changed.Status.Artifacts, artifact) {
			changed.Status.Artifacts = append(changed.Status.Artifacts, artifact)
		}
	}
	isNews := len(changed.Status.Artifacts) > len(build.Status.Artifacts)
	switch now := build.Status.Phase; {
	case now.IsTerminal() && now == report.Phase && !isNews:
		return nil, result{Reported, fmt.Sprintf("Reported %s as %s before", build.Name, now)}
	case now.IsTerminal():
		return nil, ignored(fmt.Sprintf("CiBuild %s has ended as %s", build.Name, now))
	case report.Phase == v1alpha1.BuildSucceeded && len(changed.Status.Artifacts) == 0:
		return nil, refused("CiBuild %s has no artifacts, and cannot have Succeeded without: report them with the phase, or before it", build.Name)
	case report.Phase == "" || (report.Phase == v1alpha1.BuildPending && now == v1alpha1.BuildRunning):
	default:
		changed.Status.Phase = report.Phase
	}
	if changed.Status.Phase == build.Status.Phase && !isNews {
		return nil, result{Reported, fmt.Sprintf("Reported %s as %s before", build.Name, build.Status.Phase)}
	}
	return changed, result{}
}
