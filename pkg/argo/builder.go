// Package argo builds the Workflow of a task, creates it in such a way that doing so
// twice makes one, and knows what Argo's labels tell of it.
package argo

import (
	"context"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// Builder makes the Workflows of one kind of task.
type Builder interface {
	// Build returns the Workflow of a claimed task, from what the reader says now. A
	// *Refusal means that there will never be one; any other error may pass. The
	// Workflow's namespace, name and labels are those of the claim.
	Build(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error)
}

// Builders are the builders by the kind of task: the queue knows no other difference
// between kinds.
type Builders map[store.Kind]Builder

// Build implements Builder.
func (b Builders) Build(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	builder, known := b[claim.Kind]
	if !known {
		return nil, refused(v1alpha1.ReasonUnknownKind, "nothing builds tasks of kind %q", claim.Kind)
	}
	return builder.Build(ctx, reader, claim)
}
