package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/env"
)

func TestEveryCommandOfTheBaseImagesPageRuns(t *testing.T) {
	r := newReader(t, "base-images.md")
	r.run(t, command{language: "console", text: "kubectl apply -k config/default"})
	for _, command := range commandsOf(t, r.text(t)) {
		require.Empty(t, command.notRun)
		if strings.HasPrefix(command.text, "kubectl penstock ") {
			continue // the tests of the plugin run these
		}
		r.run(t, command)
	}

	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	var images v1alpha1.BaseImageList
	require.NoError(t, cluster.List(t.Context(), &images, client.InNamespace("platform")))
	require.Len(t, images.Items, 3)
	var pipelines v1alpha1.CiPipelineList
	require.NoError(t, cluster.List(t.Context(), &pipelines, client.InNamespace("apps")))
	debian := types.NamespacedName{Namespace: "platform", Name: "debian-12"}
	items := wave.Begin(wave.NewGraph(images.Items, pipelines.Items), debian, "uid", 1)
	require.Len(t, items, 1, "the pipeline of the page is built on the image of the page")
	require.Equal(t, wave.Pending, items[0].State, items[0].Message)
}
