package argo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Builds builds the Workflows of CiBuilds, from their CiPipelines as they are now.
type Builds struct {
	// Labels are put on every Workflow, but for those that Penstock sets.
	Labels map[string]string
	// TTL has Argo delete Workflows this long after their end, where their template does not
	// say when. Zero means never.
	TTL time.Duration
	// BaseImages returns the images that a pipeline is built on, as they are known now.
	// Optional.
	BaseImages func(ctx context.Context, reader client.Reader, pipeline *v1alpha1.CiPipeline) ([]BaseImage, error)
}

var _ Builder = Builds{}

// BaseImage is one item of the parameter baseImages.
type BaseImage struct {
	Name   string `json:"name"`
	Image  string `json:"image"`
	Digest string `json:"digest"`
}

// Build implements Builder.
func (b Builds) Build(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	build, pipeline, err := buildOf(ctx, reader, claim)
	if err != nil {
		return nil, err
	}
	spec := pipeline.Spec.Workflow
	if spec == nil {
		return nil, cancelled(v1alpha1.ReasonStageRemoved, "CiPipeline %s has no spec.workflow any more", pipeline.Name)
	}
	template, err := findTemplate(ctx, reader, claim.Namespace, spec.TemplateRef)
	if err != nil {
		return nil, err
	}
	if template == nil {
		return nil, held(missingTemplate(claim.Cluster, spec.TemplateRef))
	}
	bases, err := b.baseImages(ctx, reader, pipeline)
	if err != nil {
		return nil, err
	}
	workflow := buildWorkflow(claim, build, pipeline, bases)
	if problems := problemsOf(template, trigger.StageBuild, workflow.Spec.Arguments.Parameters); problems != "" {
		return nil, refused(v1alpha1.ReasonInvalidParameters, "%s; then build again", problems)
	}
	addLabels(workflow, b.Labels)
	addTTL(workflow, b.TTL, template)
	return workflow, nil
}

func (b Builds) baseImages(ctx context.Context, reader client.Reader, pipeline *v1alpha1.CiPipeline) ([]BaseImage, error) {
	if b.BaseImages == nil || len(pipeline.Spec.BaseImages) == 0 {
		return nil, nil
	}
	return b.BaseImages(ctx, reader, pipeline)
}

// buildOf returns the build that the task was made for and its pipeline, and no others of the
// same names.
func buildOf(ctx context.Context, reader client.Reader, claim store.Claim) (*v1alpha1.CiBuild, *v1alpha1.CiPipeline, error) {
	build, pipeline := &v1alpha1.CiBuild{}, &v1alpha1.CiPipeline{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.Inputs.Build}, build)
	if apierrors.IsNotFound(err) || (err == nil && (string(build.UID) != claim.Inputs.BuildUID || !build.DeletionTimestamp.IsZero())) {
		return nil, nil, cancelled(v1alpha1.ReasonBuildDeleted, "CiBuild %s was deleted before its turn came", claim.Inputs.Build)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get CiBuild: %w", err)
	}
	if phase := build.Status.Phase; phase.IsTerminal() {
		return nil, nil, cancelled(v1alpha1.ReasonBuildEnded, "the status of CiBuild %s said that it ended as %s before its turn came", build.Name, phase)
	}
	err = reader.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.Owner.Name}, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && (string(pipeline.UID) != claim.Owner.UID || !pipeline.DeletionTimestamp.IsZero())) {
		return nil, nil, cancelled(v1alpha1.ReasonPipelineDeleted, "CiPipeline %s was deleted before the build's turn came", claim.Owner.Name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get CiPipeline: %w", err)
	}
	return build, pipeline, nil
}

// buildWorkflow is a pure function. The build owns the Workflow: deleting one deletes the
// other.
func buildWorkflow(claim store.Claim, build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline, bases []BaseImage) *wfv1.Workflow {
	spec := pipeline.Spec.Workflow
	annotations := map[string]string{v1alpha1.AnnotationPipeline: pipeline.Name, v1alpha1.AnnotationBuild: build.Name}
	if cause := build.Spec.Cause; cause != nil && cause.Type == v1alpha1.CauseManual {
		annotateAsked(annotations, cause.By, cause.Message)
	}
	return &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: wfv1.SchemeGroupVersion.String(), Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.WorkflowName, Labels: labelsOf(claim), Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(build, v1alpha1.GroupVersion.WithKind("CiBuild"))},
			Finalizers:      []string{v1alpha1.FinalizerRecorded},
		},
		Spec: wfv1.WorkflowSpec{
			WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: spec.TemplateRef.Name, ClusterScope: spec.TemplateRef.ClusterScope},
			ServiceAccountName:  spec.ServiceAccountName,
			Arguments:           wfv1.Arguments{Parameters: buildParameters(build, pipeline, bases)},
		},
	}
}

// buildParameters are the pipeline's own, then those that Penstock sets. What nobody set is
// not passed.
func buildParameters(build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline, bases []BaseImage) []wfv1.Parameter {
	var url, revision string
	if source := pipeline.Spec.Source; source != nil {
		url, revision = source.URL, source.Revision
	}
	if build.Spec.Revision != "" {
		revision = build.Spec.Revision
	}
	set := [][2]string{
		{"url", url}, {"revision", revision}, {"ref", build.Spec.Ref}, {"build", build.Name}, {"cause", string(build.Cause())},
	}
	if len(bases) > 0 {
		encoded, err := json.Marshal(bases)
		if err != nil {
			panic(fmt.Sprintf("argo: encode base images: %v", err)) // three texts always encode
		}
		set = append(set, [2]string{"baseImages", string(encoded)})
	}
	return passed(pipeline.Spec.Workflow.Parameters, set)
}

// UnreadyBuild says why builds of a pipeline can't run, whatever they are of: the template
// does not exist, or a parameter is missing or not allowed. The reason is empty where they can.
func UnreadyBuild(ctx context.Context, reader client.Reader, pipeline *v1alpha1.CiPipeline) (v1alpha1.Reason, string, error) {
	ref := pipeline.Spec.Workflow.TemplateRef
	template, err := findTemplate(ctx, reader, pipeline.Namespace, ref)
	if err != nil {
		return "", "", err
	}
	if template == nil {
		kind, _ := TemplateKey("", ref)
		return v1alpha1.ReasonTemplateNotFound, fmt.Sprintf("%s %s does not exist: create it, or correct spec.workflow.templateRef", kind, ref.Name), nil
	}
	build := &v1alpha1.CiBuild{}
	build.Name, build.Spec.Revision, build.Spec.Ref = unknown, unknown, unknown
	build.Spec.Cause = &v1alpha1.BuildCause{Type: unknown}
	bases := []BaseImage{{Name: unknown}}
	if len(pipeline.Spec.BaseImages) == 0 {
		bases = nil
	}
	problems := problemsOf(template, trigger.StageBuild, buildParameters(build, pipeline, bases))
	if problems == "" {
		return "", "", nil
	}
	return v1alpha1.ReasonInvalidParameters, problems, nil
}
