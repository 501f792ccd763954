package argo

import (
	"context"
	"errors"
	"fmt"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// RequestTimeout bounds one request to the API server, waiting for its token bucket
// included. A create that ends at it may have succeeded: the next attempt finds out.
const RequestTimeout = 8 * time.Second

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;create
// +kubebuilder:rbac:groups=argoproj.io,resources=workflowtemplates;clusterworkflowtemplates,verbs=get;list;watch

// Submitter creates Workflows. It is safe for concurrent use.
type Submitter struct {
	// Cache answers from memory, and may lag behind.
	Cache client.Reader
	// Live reads and writes at the API server, in the trigger class of the
	// process's token bucket.
	Live client.Client
}

// Submit makes sure that the claimed row's Workflow exists. A *Refusal means that
// it never will; any other error may pass. Submitting a row again, from wherever,
// makes no second Workflow.
func (s *Submitter) Submit(ctx context.Context, claim store.Claim) error {
	workflow, err := s.prepare(ctx, s.Cache, claim)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		workflow, err = s.doubt(ctx, claim)
	}
	if err != nil || workflow == nil {
		return err
	}
	return s.create(ctx, claim, workflow)
}

// doubt is what follows a refusal, which is final: the cache may lag behind, so that
// the API server has the last word; and an earlier attempt may have made the
// Workflow without knowing it. Nil and nil mean that it has.
func (s *Submitter) doubt(ctx context.Context, claim store.Claim) (*wfv1.Workflow, error) {
	if made, err := s.madeBefore(ctx, claim); made || err != nil {
		return nil, err
	}
	return s.prepare(ctx, s.Live, claim)
}

// madeBefore tells whether an earlier attempt has made the Workflow without knowing it.
func (s *Submitter) madeBefore(ctx context.Context, claim store.Claim) (bool, error) {
	if claim.Attempt <= 1 {
		return false, nil
	}
	err := s.adopt(ctx, claim)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// prepare builds the Workflow of a row from what the reader says, or refuses it.
func (s *Submitter) prepare(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	pipeline, err := pipelineOf(ctx, reader, claim)
	if err != nil {
		return nil, err
	}
	stage := trigger.StageSpec(pipeline, claim.Stage)
	if stage == nil {
		return nil, cancelled(v1alpha1.ReasonStageRemoved, "CdPipeline %s has no stage %s any more", claim.Pipeline, claim.Stage)
	}
	if !pipeline.DeletionTimestamp.IsZero() {
		return nil, deleted(claim)
	}
	if pipeline.Spec.Suspend {
		return nil, cancelled(v1alpha1.ReasonSuspended, "CdPipeline %s was suspended before its turn came", claim.Pipeline)
	}
	if err := findTemplate(ctx, reader, claim.Namespace, stage.Workflow.TemplateRef); err != nil {
		return nil, err
	}
	return Build(claim, pipeline, stage), nil
}

// pipelineOf returns the pipeline that the row was planned for, and no other of the
// same name.
func pipelineOf(ctx context.Context, reader client.Reader, claim store.Claim) (*v1alpha1.CdPipeline, error) {
	pipeline := &v1alpha1.CdPipeline{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.Pipeline}, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != claim.PipelineUID) {
		return nil, deleted(claim)
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
}

func deleted(claim store.Claim) *Refusal {
	return cancelled(v1alpha1.ReasonPipelineDeleted, "CdPipeline %s was deleted before its turn came", claim.Pipeline)
}

// Template returns an empty template, of which only the metadata is known, of kind
// WorkflowTemplate or ClusterWorkflowTemplate.
func Template(kind string) *metav1.PartialObjectMetadata {
	template := &metav1.PartialObjectMetadata{}
	template.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind(kind))
	return template
}

// TrimTemplate keeps of a template only that it exists: kubectl apply leaves the whole
// manifest in an annotation.
func TrimTemplate(object any) (any, error) {
	if template, ok := object.(*metav1.PartialObjectMetadata); ok {
		template.Labels, template.Annotations, template.ManagedFields = nil, nil, nil
	}
	return object, nil
}

// findTemplate refuses a row whose template does not exist.
func findTemplate(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.TemplateReference) error {
	kind, key := "WorkflowTemplate", types.NamespacedName{Namespace: namespace, Name: ref.Name}
	if ref.ClusterScope {
		kind, key.Namespace = "ClusterWorkflowTemplate", ""
	}
	err := reader.Get(ctx, key, Template(kind))
	if apierrors.IsNotFound(err) {
		return refused(v1alpha1.ReasonTemplateNotFound, "%s %s does not exist: create it, or correct workflow.templateRef, and then create a new CiBuild", kind, ref.Name)
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", kind, err)
	}
	return nil
}

func (s *Submitter) create(ctx context.Context, claim store.Claim, workflow *wfv1.Workflow) error {
	createCtx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	failpoint.Hit(failpoint.SubmitBeforeCreate)
	err := s.Live.Create(createCtx, workflow)
	if apierrors.IsAlreadyExists(err) {
		return s.adopt(ctx, claim)
	}
	if err == nil {
		return failpoint.Error(failpoint.SubmitAfterCreate)
	}
	err = classify(err)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	// Whether the name exists is looked at after admission and validation.
	if made, doubt := s.madeBefore(ctx, claim); made || doubt != nil {
		return doubt
	}
	return err
}

// adopt accepts the Workflow that has the row's name, where it is the row's.
func (s *Submitter) adopt(ctx context.Context, claim store.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	existing := &metav1.PartialObjectMetadata{}
	existing.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("Workflow"))
	key := types.NamespacedName{Namespace: claim.Namespace, Name: claim.WorkflowName}
	if err := s.Live.Get(ctx, key, existing); err != nil {
		return fmt.Errorf("get existing workflow: %w", err)
	}
	if !isOurs(existing, claim) {
		return refused(v1alpha1.ReasonNameConflict, "a Workflow named %s exists and is not Penstock's: delete or rename it", claim.WorkflowName)
	}
	return nil
}

func isOurs(workflow metav1.Object, claim store.Claim) bool {
	controller := metav1.GetControllerOf(workflow)
	return workflow.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy &&
		workflow.GetLabels()[v1alpha1.LabelIdentity] == claim.Identity().Hash() &&
		controller != nil && string(controller.UID) == claim.PipelineUID
}
