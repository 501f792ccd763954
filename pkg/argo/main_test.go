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

// claimOf is a claimed task of the pipeline's stage DEPLOY, for the build b1.
func claimOf(pipeline *v1alpha1.CdPipeline) store.Claim {
	identity := trigger.Identity{
		BuildUID: string(given.UID("b1")), Image: given.Artifact(0).Image, Digest: given.Artifact(0).Digest,
		PipelineUID: string(pipeline.UID), Run: 1, Stage: trigger.StageDeploy,
	}
	return store.Claim{
		ID: 42, Attempt: 1, Kind: store.KindCd, Namespace: pipeline.Namespace,
		Owner:    store.Owner{Kind: "CdPipeline", Name: pipeline.Name, UID: string(pipeline.UID)},
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName(pipeline.Name, identity),
		Inputs: trigger.Inputs{
			Build: "b1", Revision: "main", Image: identity.Image, Digest: identity.Digest, Stage: identity.Stage, Run: 7,
		},
	}
}
