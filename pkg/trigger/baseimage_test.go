package trigger_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPipelineNamesBaseImagesOfItsOwnNamespaceAndOfOthers(t *testing.T) {
	t.Parallel()
	pipeline := given.CiPipeline("shop")
	require.Empty(t, trigger.BaseImages(pipeline))
	pipeline.Spec.BaseImages = []v1alpha1.BaseImageReference{
		{Name: "java"}, {Name: "java", Namespace: "base"}, {Name: "java", Namespace: pipeline.Namespace},
	}
	require.Equal(t, []types.NamespacedName{{Namespace: pipeline.Namespace, Name: "java"}, {Namespace: "base", Name: "java"}}, trigger.BaseImages(pipeline))
}

func TestABaseImageAllowsItsOwnNamespaceAndThoseThatItNames(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		allowed   []string
		namespace string
		want      bool
	}{
		"its own is always allowed":   {nil, "base", true},
		"another is not":              {nil, "shop", false},
		"another that is named is":    {[]string{"web", "shop"}, "shop", true},
		"others than those are not":   {[]string{"web", "shop"}, "sho", false},
		"a star allows every other":   {[]string{"*"}, "shop", true},
		"nothing allows no namespace": {[]string{""}, "shop", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			image := given.BaseImage("debian", "debian:12", given.AllowedIn(test.allowed...))
			image.Namespace = "base"
			require.Equal(t, test.want, trigger.Allows(image, test.namespace))
		})
	}
}
