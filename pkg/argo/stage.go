package argo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Stages builds the Workflows of stages of runs, from their CdPipelines as they are now.
type Stages struct {
	// Freeze returns the freeze that is in force. Optional.
	Freeze func() trigger.Freeze
	// Now is the clock that windows and freezes are measured by. Defaults to time.Now.
	Now func() time.Time
	// Labels are put on every Workflow, but for those that its stage or Penstock sets.
	Labels map[string]string
	// TTL has Argo delete Workflows this long after their end, where their template does not
	// say when. Zero means never.
	TTL time.Duration
}

var _ Builder = Stages{}

// Build implements Builder.
func (s Stages) Build(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	pipeline, err := pipelineOf(ctx, reader, claim)
	if err != nil {
		return nil, err
	}
	stage := trigger.StageSpec(pipeline, claim.Inputs.Stage)
	if stage == nil {
		return nil, cancelled(v1alpha1.ReasonStageRemoved, "CdPipeline %s has no stage %s any more", claim.Owner.Name, claim.Inputs.Stage)
	}
	if !pipeline.DeletionTimestamp.IsZero() {
		return nil, deleted(claim)
	}
	if pipeline.Spec.Suspend {
		return nil, cancelled(v1alpha1.ReasonSuspended, "CdPipeline %s was suspended before its turn came", claim.Owner.Name)
	}
	if parent := claim.Inputs.Parent; parent != "" && parent != trigger.ParentOf(pipeline) {
		return nil, cancelled(v1alpha1.ReasonParentChanged, "%s", trigger.ParentChanged(pipeline))
	}
	if pipeline.Spec.Hold {
		return nil, held(trigger.HoldOf(pipeline, claim.Inputs.Stage, true))
	}
	if hold := s.timeHold(pipeline, claim); hold != (trigger.Hold{}) {
		return nil, held(hold)
	}
	template, err := findTemplate(ctx, reader, claim.Namespace, stage.Workflow.TemplateRef)
	if err != nil {
		return nil, err
	}
	if template == nil {
		return nil, held(missingTemplate(claim.Cluster, stage.Workflow.TemplateRef))
	}
	workflow := stageWorkflow(claim, pipeline, stage)
	if problems := problemsOf(template, claim.Inputs.Stage, workflow.Spec.Arguments.Parameters); problems != "" {
		return nil, refused(v1alpha1.ReasonInvalidParameters, "%s; then create a RunRequest with action Retry", problems)
	}
	addLabels(workflow, stage.Labels)
	addLabels(workflow, s.Labels)
	addTTL(workflow, s.TTL, template)
	return workflow, nil
}

// addLabels gives a Workflow labels that it has not.
func addLabels[Value ~string](workflow *wfv1.Workflow, labels map[string]Value) {
	for key, value := range labels {
		if _, has := workflow.Labels[key]; !has {
			workflow.Labels[key] = string(value)
		}
	}
}

// timeHold is what holds a stage now that no person has resumed.
func (s Stages) timeHold(pipeline *v1alpha1.CdPipeline, claim store.Claim) trigger.Hold {
	if claim.Inputs.Resumed {
		return trigger.Hold{}
	}
	var freeze trigger.Freeze
	if s.Freeze != nil {
		freeze = s.Freeze()
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return trigger.TimeHold(pipeline, claim.Inputs.Stage, freeze, now())
}

// pipelineOf returns the pipeline that the task was planned for, and no other of the
// same name.
func pipelineOf(ctx context.Context, reader client.Reader, claim store.Claim) (*v1alpha1.CdPipeline, error) {
	pipeline := &v1alpha1.CdPipeline{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: claim.Owner.Name}, pipeline)
	if apierrors.IsNotFound(err) || (err == nil && string(pipeline.UID) != claim.Owner.UID) {
		return nil, deleted(claim)
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
}

func deleted(claim store.Claim) *Refusal {
	return cancelled(v1alpha1.ReasonPipelineDeleted, "CdPipeline %s was deleted before its turn came", claim.Owner.Name)
}

// stageWorkflow is a pure function. The pipeline owns the Workflow: deleting one deletes
// the other.
func stageWorkflow(claim store.Claim, pipeline *v1alpha1.CdPipeline, stage *v1alpha1.StageSpec) *wfv1.Workflow {
	template := stage.Workflow.TemplateRef
	workflow := &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: wfv1.SchemeGroupVersion.String(), Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       claim.Namespace,
			Name:            claim.WorkflowName,
			Labels:          labelsOf(claim),
			Annotations:     annotationsOf(claim),
			OwnerReferences: []metav1.OwnerReference{owner(claim)},
			Finalizers:      []string{v1alpha1.FinalizerRecorded},
		},
		Spec: wfv1.WorkflowSpec{
			WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: template.Name, ClusterScope: template.ClusterScope},
			ServiceAccountName:  stage.Workflow.ServiceAccountName,
			Arguments:           wfv1.Arguments{Parameters: parameters(claim, pipeline, stage)},
		},
	}
	if stage.Timeout != nil {
		workflow.Labels[v1alpha1.LabelTimeout] = fmt.Sprint(math.Ceil(stage.Timeout.Seconds()))
		workflow.Spec.ActiveDeadlineSeconds = ptr.To(int64(math.Ceil(stage.Timeout.Seconds())))
	}
	return workflow
}

func labelsOf(claim store.Claim) map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelTask:      fmt.Sprint(claim.ID),
		v1alpha1.LabelIdentity:  claim.Identity,
		v1alpha1.LabelStage:     strings.ToLower(string(claim.Inputs.Stage)),
		v1alpha1.LabelPipeline:  trigger.LabelValue(claim.Owner.Name),
		v1alpha1.LabelBuild:     trigger.LabelValue(claim.Inputs.Build),
	}
}

func annotationsOf(claim store.Claim) map[string]string {
	annotations := map[string]string{
		v1alpha1.AnnotationPipeline: claim.Owner.Name,
		v1alpha1.AnnotationBuild:    claim.Inputs.Build,
		v1alpha1.AnnotationImage:    claim.Inputs.Image + "@" + claim.Inputs.Digest,
	}
	annotateAsked(annotations, claim.Inputs.Actor, claim.Inputs.ActorReason)
	return annotations
}

// plain takes Argo's expressions out of what a person wrote: a template may use a Workflow's
// annotations, and Argo would evaluate them there.
var plain = strings.NewReplacer("{{", "{ {", "}}", "} }")

// annotateAsked tells who has asked for a Workflow, and why, where somebody has.
func annotateAsked(annotations map[string]string, by, reason string) {
	if by != "" {
		annotations[v1alpha1.AnnotationBy] = plain.Replace(by)
	}
	if reason != "" {
		annotations[v1alpha1.AnnotationReason] = plain.Replace(reason)
	}
}

func owner(claim store.Claim) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       claim.Owner.Kind,
		Name:       claim.Owner.Name,
		UID:        types.UID(claim.Owner.UID),
		Controller: ptr.To(true),
	}
}

// parameters are the pipeline's own, then those that Penstock sets. What nobody set is not
// passed.
func parameters(claim store.Claim, pipeline *v1alpha1.CdPipeline, stage *v1alpha1.StageSpec) []wfv1.Parameter {
	set := [][2]string{
		{"image", claim.Inputs.Image},
		{"digest", claim.Inputs.Digest},
		{"revision", claim.Inputs.Revision},
		{"application", trigger.Application(pipeline)},
		{"environment", pipeline.Spec.Environment},
		{"stage", string(claim.Inputs.Stage)},
		{"build", claim.Inputs.Build},
	}
	if claim.Inputs.All {
		set = append(set, [2]string{"artifacts", artifactList(claim.Inputs.Artifacts)})
	}
	return passed(stage.Workflow.Parameters, set)
}

// passed are the parameters that have a value: a pipeline's own, and then those that Penstock
// sets.
func passed(own []v1alpha1.Parameter, set [][2]string) []wfv1.Parameter {
	list := make([]wfv1.Parameter, 0, len(own)+len(set))
	for _, parameter := range own {
		if parameter.Value != nil {
			list = append(list, wfv1.Parameter{Name: parameter.Name, Value: wfv1.AnyStringPtr(*parameter.Value)})
		}
	}
	for _, parameter := range set {
		if parameter[1] != "" { // else the template's default holds
			list = append(list, wfv1.Parameter{Name: parameter[0], Value: wfv1.AnyStringPtr(parameter[1])})
		}
	}
	return list
}

// artifactList is a JSON list of objects with image and digest.
func artifactList(artifacts []v1alpha1.Artifact) string {
	encoded, err := json.Marshal(artifacts)
	if err != nil {
		panic(fmt.Sprintf("argo: encode artifacts: %v", err)) // two strings always encode
	}
	return string(encoded)
}
