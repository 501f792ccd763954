package trigger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPipelineIsReadyWhenItsParentsLeadToACiPipeline(t *testing.T) {
	t.Parallel()
	decider := newDecider(t)
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		above    given.Family
		reason   v1alpha1.Reason
		message  string
	}{
		"a child of a CiPipeline is ready": {
			given.CdPipeline("web"), nil, v1alpha1.ReasonReady, "triggered by builds of CiPipeline ci",
		},
		"a grandchild is ready": {
			given.CdPipeline("web", given.BelowCd("parent")), given.FamilyOf(given.CdPipeline("parent")),
			v1alpha1.ReasonReady, "triggered by builds of CiPipeline ci",
		},
		"a pipeline whose CiPipeline does not exist is not": {
			given.CdPipeline("web", given.BelowCi("gone")), nil, v1alpha1.ReasonParentNotFound,
			`CiPipeline "gone" does not exist in this namespace: create it, or correct spec.parentRef`,
		},
		"a pipeline whose CdPipeline does not exist is not": {
			given.CdPipeline("web", given.BelowCd("gone")), nil, v1alpha1.ReasonParentNotFound, `CdPipeline "gone" does not exist`,
		},
		"a pipeline whose grandparent does not exist is not": {
			given.CdPipeline("web", given.BelowCd("parent")), given.FamilyOf(given.CdPipeline("parent", given.BelowCi("gone"))),
			v1alpha1.ReasonParentNotFound, `CiPipeline "gone" does not exist`,
		},
		"two pipelines in a ring are not": {
			given.CdPipeline("web", given.BelowCd("parent")), given.FamilyOf(given.CdPipeline("parent", given.BelowCd("web"))),
			v1alpha1.ReasonParentCycle, "spec.parentRef leads in a ring: web -> parent -> web",
		},
		"a pipeline below a ring that it is no part of is not": {
			given.CdPipeline("web", given.BelowCd("x")),
			given.FamilyOf(given.CdPipeline("x", given.BelowCd("y")), given.CdPipeline("y", given.BelowCd("x"))),
			v1alpha1.ReasonParentCycle, "web -> x -> y -> x",
		},
		"a pipeline whose filter does not compile is not": {
			given.CdPipeline("web", given.Filter("1 +")), nil, v1alpha1.ReasonInvalidFilter, "spec.filter: ",
		},
		"a pipeline whose filter could fail at run time is ready": {
			given.CdPipeline("web", given.Filter("[true][size(build.name)]")), nil, v1alpha1.ReasonReady, "",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			readiness := decider.Ready(tc.pipeline, append(tc.above, *tc.pipeline))
			require.Equal(t, tc.reason, readiness.Reason)
			require.Equal(t, tc.reason == v1alpha1.ReasonReady, readiness.Ready)
			require.Contains(t, readiness.Message, tc.message)
		})
	}
}
