package prune

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// build is one that Succeeded, so many minutes after the first, and whose runs have ended.
func build(name, pipeline string, minute int) *v1alpha1.CiBuild {
	build := given.CiBuild(name)
	build.UID = types.UID("uid of " + name)
	build.Spec.PipelineRef.Name = pipeline
	build.CreationTimestamp = metav1.NewTime(time.Date(2024, 5, 17, 12, minute, 0, 0, time.UTC))
	build.Status.Phase, build.Status.Artifacts = v1alpha1.BuildSucceeded, given.Artifacts(1)
	build.Status.Triggers = &v1alpha1.TriggerSummary{}
	build.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionTrue}}
	return build
}

// cluster is an API server in memory that holds these objects.
func cluster(t *testing.T, objects ...client.Object) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...)
}

// left are the names of the builds that exist.
func left(t *testing.T, cluster client.Client) []string {
	t.Helper()
	var builds v1alpha1.CiBuildList
	require.NoError(t, cluster.List(t.Context(), &builds))
	var names []string
	for _, build := range builds.Items {
		names = append(names, build.Name)
	}
	return slices.Sorted(slices.Values(names))
}

func TestBuildsThatTheirPipelineKeepsNoLongerAreDeleted(t *testing.T) {
	t.Parallel()
	keeps := given.CiPipeline("keeps-two")
	keeps.Spec.BuildHistory = &v1alpha1.BuildHistory{Successful: 2, Failed: 1}
	objects := []client.Object{keeps, given.CiPipeline("keeps-all")}
	for i := range 4 {
		objects = append(objects, build(fmt.Sprintf("a%d", i), "keeps-two", i), build(fmt.Sprintf("b%d", i), "keeps-all", i), build(fmt.Sprintf("c%d", i), "is-gone", i))
	}
	server := cluster(t, objects...).Build()
	_, err := NewBuilds(BuildsConfig{Cache: server, Writer: server, Log: logr.Discard()}).runOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a2", "a3", "b0", "b1", "b2", "b3", "c0", "c1", "c2", "c3"}, left(t, server))
}

func TestABuildThatHasChangedSinceItWasJudgedIsKept(t *testing.T) {
	t.Parallel()
	keeps := given.CiPipeline(given.CI)
	keeps.Spec.BuildHistory = &v1alpha1.BuildHistory{Successful: 0}
	server := cluster(t, keeps, build("a", given.CI, 0)).WithInterceptorFuncs(interceptor.Funcs{
		Delete: func(ctx context.Context, server client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			current := &v1alpha1.CiBuild{}
			if err := server.Get(ctx, client.ObjectKeyFromObject(object), current); err != nil {
				return err
			}
			current.Status.Triggers.Total++ // a person asks for another run
			if err := server.Update(ctx, current); err != nil {
				return err
			}
			return server.Delete(ctx, object, options...)
		},
	}).Build()
	_, err := NewBuilds(BuildsConfig{Cache: server, Writer: server, Log: logr.Discard()}).runOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, left(t, server))
}
