package wave_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

func TestARingIsNamedByTheWayThatLeadsBack(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		bases bases
		apps  apps
		want  string
	}{
		"an image of a registry is in none": {bases{base("a")}, apps{app("x", on("a"))}, ""},
		"an image that is built on another one is in none": {
			bases{base("up"), built("a", "x")}, apps{app("x", on("up"))}, "",
		},
		"an image that is built on itself is": {
			bases{built("a", "x")}, apps{app("x", on("a"))}, "BaseImage a, CiPipeline x, BaseImage a",
		},
		"a ring of two is named whole": {
			bases{built("a", "y"), built("b", "x")}, apps{app("x", on("a")), app("y", on("b"))},
			"BaseImage a, CiPipeline x, BaseImage b, CiPipeline y, BaseImage a",
		},
		"a ring of three is named whole": {
			bases{built("a", "z"), built("b", "x"), built("c", "y")}, apps{app("x", on("a")), app("y", on("b")), app("z", on("c"))},
			"BaseImage a, CiPipeline x, BaseImage b, CiPipeline y, BaseImage c, CiPipeline z, BaseImage a",
		},
		"a way that leads nowhere is not part of the name": {
			bases{built("a", "y"), built("dead", "d"), built("b", "x")}, apps{app("d", on("a")), app("x", on("a")), app("y", on("b"))},
			"BaseImage a, CiPipeline x, BaseImage b, CiPipeline y, BaseImage a",
		},
		"an image above a ring is in none": {
			bases{base("a"), built("b", "x")}, apps{app("x", on("a", "b"))}, "",
		},
		"an image below a ring is in none": {
			bases{built("b", "x"), built("a", "y")}, apps{app("x", on("b")), app("y", on("b"))}, "",
		},
		"what a pipeline may not be built on closes none": {
			bases{built("a", "y"), built("b", "x")}, apps{app("x", in("other"), onIn(given.Namespace, "a")), app("y", on("b"))}, "",
		},
		"a builder that does not exist closes none": {bases{built("a", "x")}, nil, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, wave.NewGraph(c.bases, c.apps).Ring(key("a")))
		})
	}
}

// onIn is built on a base image of a namespace.
func onIn(namespace, name string) func(*v1alpha1.CiPipeline) {
	return func(pipeline *v1alpha1.CiPipeline) {
		pipeline.Spec.BaseImages = append(pipeline.Spec.BaseImages, v1alpha1.BaseImageReference{Name: name, Namespace: namespace})
	}
}

func TestAPipelineIsBuiltOnTheBaseImagesThatExistAndAllowIt(t *testing.T) {
	t.Parallel()
	pipeline := app("x", in("shop"), onIn(given.Namespace, "open"), onIn(given.Namespace, "closed"), onIn(given.Namespace, "gone"))
	pipeline.Spec.BaseImages = append(pipeline.Spec.BaseImages, pipeline.Spec.BaseImages[0])
	graph := wave.NewGraph(bases{base("open", given.AllowedIn("shop")), base("closed", given.AllowedIn("web"))}, apps{pipeline})
	require.Equal(t, []types.NamespacedName{key("open")}, graph.BasesOf(&pipeline))
	require.Equal(t, "x", graph.Pipeline(types.NamespacedName{Namespace: "shop", Name: "x"}).Name)
	require.Nil(t, graph.Pipeline(key("x")), "one of another namespace")
}
