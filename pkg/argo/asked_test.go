package argo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAWorkflowTellsWhoAskedForItAndWhy(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		by, reason string
		want       map[string]string
	}{
		"nobody asked":                   {"", "", map[string]string{}},
		"a person asked":                 {"ann", "", map[string]string{v1alpha1.AnnotationBy: "ann"}},
		"they said why":                  {"ann", "the demo is at nine", map[string]string{v1alpha1.AnnotationBy: "ann", v1alpha1.AnnotationReason: "the demo is at nine"}},
		"the reason has what Argo reads": {"ann", "{{=sprig.env('A')}}", map[string]string{v1alpha1.AnnotationBy: "ann", v1alpha1.AnnotationReason: "{ {=sprig.env('A')} }"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web")
			claim := claimOf(pipeline)
			claim.Inputs.Actor, claim.Inputs.ActorReason = test.by, test.reason
			require.Equal(t, test.want, askedOn(deployOf(claim, pipeline).Annotations))

			build := given.CiBuild("b1", func(b *v1alpha1.CiBuild) {
				b.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseManual, By: test.by, Message: test.reason}
			})
			shop := given.CiPipeline("shop", given.Builds("build"))
			require.Equal(t, test.want, askedOn(buildWorkflow(claimOfBuild(build, shop), build, shop, nil).Annotations))
		})
	}
}

// askedOn are the annotations that tell who asked and why.
func askedOn(annotations map[string]string) map[string]string {
	asked := map[string]string{}
	for _, key := range []string{v1alpha1.AnnotationBy, v1alpha1.AnnotationReason} {
		if value, has := annotations[key]; has {
			asked[key] = value
		}
	}
	return asked
}
