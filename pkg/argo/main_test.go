package argo

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// claimOf is a claimed row of the pipeline's stage DEPLOY, for the build b1.
func claimOf(pipeline *v1alpha1.CdPipeline) store.Claim {
	claim := store.Claim{
		ID: 42, Attempt: 1, Stage: trigger.StageDeploy, Run: 1,
		Namespace: pipeline.Namespace, Pipeline: pipeline.Name, PipelineUID: string(pipeline.UID),
		Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		BuildUID: string(given.UID("b1")), BuildName: "b1", Revision: "main",
	}
	claim.WorkflowName = trigger.WorkflowName(claim.Pipeline, claim.Identity())
	return claim
}
