//go:build failpoints

package main

import (
	"context"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

// moreBuilders lets tests put tasks of the kind ci into the queue, which the product does
// not do yet.
func moreBuilders() argo.Builders { return argo.Builders{store.KindCi: testBuilds{}} }

// testBuilds makes Workflows of the WorkflowTemplate ci-build, whatever the task says.
type testBuilds struct{}

// Build implements argo.Builder.
func (testBuilds) Build(_ context.Context, _ client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	return &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: wfv1.SchemeGroupVersion.String(), Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: claim.Namespace, Name: claim.WorkflowName,
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelTask: fmt.Sprint(claim.ID), v1alpha1.LabelIdentity: claim.Identity,
			},
			Finalizers: []string{v1alpha1.FinalizerRecorded},
		},
		Spec: wfv1.WorkflowSpec{WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: "ci-build"}},
	}, nil
}
