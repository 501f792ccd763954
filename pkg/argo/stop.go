package argo

import (
	"context"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Stop asks Argo to stop a Workflow and to run its exit handlers, as `argo stop` does.
func Stop(ctx context.Context, writer client.Writer, name types.NamespacedName) error {
	workflow := Workflow()
	workflow.SetNamespace(name.Namespace)
	workflow.SetName(name.Name)
	patch := fmt.Appendf(nil, `{"spec":{"shutdown":%q}}`, wfv1.ShutdownStrategyStop)
	if err := writer.Patch(ctx, workflow, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("stop workflow: %w", err)
	}
	return nil
}
