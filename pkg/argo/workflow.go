// Package argo builds the Workflow of a row, and creates it in such a way that
// doing so twice makes one.
package argo

import (
	"fmt"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Build returns the Workflow of a claimed row, from the pipeline as it is now. It
// is a pure function. The pipeline owns the Workflow: deleting one deletes the
// other.
func Build(claim store.Claim, pipeline *v1alpha1.CdPipeline, stage *v1alpha1.StageSpec) *wfv1.Workflow {
	template := stage.Workflow.TemplateRef
	return &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: wfv1.SchemeGroupVersion.String(), Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       claim.Namespace,
			Name:            claim.WorkflowName,
			Labels:          labels(claim),
			Annotations:     annotations(claim),
			OwnerReferences: []metav1.OwnerReference{owner(claim)},
			Finalizers:      []string{v1alpha1.FinalizerRecorded},
		},
		Spec: wfv1.WorkflowSpec{
			WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: template.Name, ClusterScope: template.ClusterScope},
			ServiceAccountName:  stage.Workflow.ServiceAccountName,
			Arguments:           wfv1.Arguments{Parameters: parameters(claim, pipeline, stage)},
		},
	}
}

func labels(claim store.Claim) map[string]string {
	return map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
		v1alpha1.LabelRunner:    fmt.Sprint(claim.ID),
		v1alpha1.LabelIdentity:  claim.Identity().Hash(),
		v1alpha1.LabelStage:     strings.ToLower(string(claim.Stage)),
		v1alpha1.LabelPipeline:  trigger.LabelValue(claim.Pipeline),
		v1alpha1.LabelBuild:     trigger.LabelValue(claim.BuildName),
	}
}

func annotations(claim store.Claim) map[string]string {
	return map[string]string{
		v1alpha1.AnnotationPipeline: claim.Pipeline,
		v1alpha1.AnnotationBuild:    claim.BuildName,
		v1alpha1.AnnotationImage:    claim.Image + "@" + claim.Digest,
	}
}

func owner(claim store.Claim) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       "CdPipeline",
		Name:       claim.Pipeline,
		UID:        types.UID(claim.PipelineUID),
		Controller: ptr.To(true),
	}
}

// parameters are the pipeline's own, then those that Penstock sets.
func parameters(claim store.Claim, pipeline *v1alpha1.CdPipeline, stage *v1alpha1.StageSpec) []wfv1.Parameter {
	list := make([]wfv1.Parameter, 0, len(stage.Workflow.Parameters)+7)
	for _, parameter := range stage.Workflow.Parameters {
		list = append(list, wfv1.Parameter{Name: parameter.Name, Value: wfv1.AnyStringPtr(parameter.Value)})
	}
	for _, set := range [][2]string{
		{"image", claim.Image},
		{"digest", claim.Digest},
		{"revision", claim.Revision},
		{"application", trigger.Application(pipeline)},
		{"environment", pipeline.Spec.Environment},
		{"stage", string(claim.Stage)},
		{"build", claim.BuildName},
	} {
		list = append(list, wfv1.Parameter{Name: set[0], Value: wfv1.AnyStringPtr(set[1])})
	}
	return list
}
