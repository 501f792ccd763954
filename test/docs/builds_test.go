package docs

import (
	"strings"
	"testing"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/test/env"
)

func TestEveryCommandOfTheBuildsPageRuns(t *testing.T) {
	r := newReader(t, "builds.md")
	page := strings.NewReplacer("namespace shop", "namespace builds", "-n shop", "-n builds").Replace(r.text(t)) // shop is another page's
	for _, command := range commandsOf(t, page) {
		require.Empty(t, command.notRun)
		if strings.HasPrefix(command.text, "kubectl penstock ") {
			continue // the tests of the plugin run these
		}
		r.run(t, command)
	}
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	var builds v1alpha1.CiBuildList
	require.NoError(t, cluster.List(t.Context(), &builds, client.InNamespace("builds")))
	require.Len(t, builds.Items, 1)
	pipeline := &v1alpha1.CiPipeline{}
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: "builds", Name: "cart"}, pipeline))
	_, problem, err := argo.UnreadyBuild(t.Context(), cluster, pipeline)
	require.NoError(t, err)
	require.Empty(t, problem, "the template and the pipeline fit")
	template := &wfv1.WorkflowTemplate{}
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: "builds", Name: "build"}, template))
	var outputs []string
	for _, parameter := range template.Spec.Templates[0].Outputs.Parameters {
		outputs = append(outputs, parameter.GlobalName)
	}
	require.Equal(t, []string{"image", "digest"}, outputs)
}
