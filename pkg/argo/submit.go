package argo

import (
	"context"
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

// CreateTimeout bounds one request to the API server. A create that ends at it
// may have succeeded: the next attempt finds out.
const CreateTimeout = 8 * time.Second

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
	pipeline, err := s.pipeline(ctx, claim)
	if err != nil {
		return err
	}
	stage := trigger.StageSpec(pipeline, claim.Stage)
	if stage == nil {
		return cancelled(v1alpha1.ReasonStageRemoved, "CdPipeline %s has no stage %s any more", claim.Pipeline, claim.Stage)
	}
	if !pipeline.DeletionTimestamp.IsZero() {
		return deleted(claim)
	}
	if pipeline.Spec.Suspend {
		return cancelled(v1alpha1.ReasonSuspended, "CdPipeline %s was suspended before its turn came", claim.Pipeline)
	}
	if err := s.findTemplate(ctx, claim.Namespace, stage.Workflow.TemplateRef); err != nil {
		return err
	}
	return s.create(ctx, claim, Build(claim, pipeline, stage))
}

// pipeline returns the pipeline that the row was planned for, and no other of the
// same name. What the cache does not have is asked for at the API server, so that
// a cache that lags never cancels a run.
func (s *Submitter) pipeline(ctx context.Context, claim store.Claim) (*v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, CreateTimeout)
	defer cancel()
	key := types.NamespacedName{Namespace: claim.Namespace, Name: claim.Pipeline}
	pipeline := &v1alpha1.CdPipeline{}
	err := s.Cache.Get(ctx, key, pipeline)
	if err == nil && string(pipeline.UID) == claim.PipelineUID {
		return pipeline, nil
	}
	pipeline = &v1alpha1.CdPipeline{}
	err = s.Live.Get(ctx, key, pipeline)
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

// findTemplate refuses a row whose template does not exist.
func (s *Submitter) findTemplate(ctx context.Context, namespace string, ref v1alpha1.TemplateReference) error {
	ctx, cancel := context.WithTimeout(ctx, CreateTimeout)
	defer cancel()
	kind, key := "WorkflowTemplate", types.NamespacedName{Namespace: namespace, Name: ref.Name}
	if ref.ClusterScope {
		kind, key.Namespace = "ClusterWorkflowTemplate", ""
	}
	template := Template(kind)
	if err := s.Cache.Get(ctx, key, template); err == nil {
		return nil
	}
	err := s.Live.Get(ctx, key, template)
	if apierrors.IsNotFound(err) {
		return refused(v1alpha1.ReasonTemplateNotFound, "%s %s does not exist: create it, or correct workflow.templateRef", kind, ref.Name)
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", kind, err)
	}
	return nil
}

func (s *Submitter) create(ctx context.Context, claim store.Claim, workflow *wfv1.Workflow) error {
	ctx, cancel := context.WithTimeout(ctx, CreateTimeout)
	defer cancel()
	failpoint.Hit(failpoint.SubmitBeforeCreate)
	err := s.Live.Create(ctx, workflow)
	if apierrors.IsAlreadyExists(err) {
		return s.adopt(ctx, claim)
	}
	if err != nil {
		return classify(err)
	}
	return failpoint.Error(failpoint.SubmitAfterCreate)
}

// adopt accepts the Workflow that has the row's name, where it is the row's.
func (s *Submitter) adopt(ctx context.Context, claim store.Claim) error {
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
