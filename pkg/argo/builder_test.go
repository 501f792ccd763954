package argo

import (
	"context"
	"errors"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// builds is a builder of another kind: it needs no pipeline and no template.
type builds struct{ err error }

func (b builds) Build(_ context.Context, _ client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	if b.err != nil {
		return nil, b.err
	}
	return &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{
		Namespace: claim.Namespace, Name: claim.WorkflowName,
		Labels: map[string]string{v1alpha1.LabelIdentity: claim.Identity, "kind": string(claim.Kind)},
	}}, nil
}

// buildClaim is a claimed task of kind ci.
func buildClaim() store.Claim {
	return store.Claim{
		ID: 7, Attempt: 1, Kind: store.KindCi, Namespace: given.Namespace, Identity: "identity-of-a-build", WorkflowName: "b1-build",
		Owner: store.Owner{Kind: "CiBuild", Name: "b1", UID: string(given.UID("b1"))},
	}
}

func TestATaskOfAKindThatNobodyBuildsIsRefused(t *testing.T) {
	t.Parallel()
	for _, builders := range []Builders{nil, {}, {store.KindCd: Stages{}}} {
		w := newWorld(t)
		w.Builders = builders
		requireRefusal(t, w.submit(t, buildClaim()), store.StatusError, v1alpha1.ReasonUnknownKind, `nothing builds tasks of kind "ci"`)
		require.Empty(t, w.workflows(t))
	}
}

func TestASecondKindPlugsIn(t *testing.T) {
	t.Parallel()
	pipeline := given.CdPipeline("web")
	w := newWorld(t, pipeline, template())
	w.Builders[store.KindCi] = builds{}
	for range 2 {
		require.NoError(t, w.submit(t, buildClaim()))
		require.NoError(t, w.submit(t, claimOf(pipeline)))
	}
	kinds := map[string]string{}
	for _, workflow := range w.workflows(t) {
		kinds[workflow.Name] = workflow.Labels["kind"]
	}
	require.Equal(t, map[string]string{"b1-build": "ci", claimOf(pipeline).WorkflowName: ""}, kinds)
}

func TestWhatABuilderSaysIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := errors.New("connection refused")
	w.Builders[store.KindCi] = builds{down}
	err := w.submit(t, buildClaim())
	require.ErrorIs(t, err, down)
	requireNoRefusal(t, err)
	w.Builders[store.KindCi] = builds{cancelled(v1alpha1.ReasonPipelineDeleted, "CiPipeline ci was deleted")}
	requireRefusal(t, w.submit(t, buildClaim()), store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "CiPipeline ci was deleted")
}
