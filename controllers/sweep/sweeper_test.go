package sweep

import (
	"context"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

// looked is what the reporter and the planner were told.
type looked struct {
	builds, pipelines, planned []string
}

func (l *looked) LookAgain(builds, pipelines []types.NamespacedName) {
	for _, key := range builds {
		l.builds = append(l.builds, key.Name)
	}
	for _, key := range pipelines {
		l.pipelines = append(l.pipelines, key.Name)
	}
}

// Plan panics for one of the builds.
func (l *looked) Plan(_ context.Context, build types.NamespacedName) error {
	if build.Name == "poison" {
		panic("spilled")
	}
	l.planned = append(l.planned, build.Name)
	return nil
}

func build(name string, phase v1alpha1.BuildPhase, triggers *v1alpha1.TriggerSummary) *v1alpha1.CiBuild {
	return given.CiBuild(name, func(b *v1alpha1.CiBuild) { b.Status.Phase, b.Status.Triggers = phase, triggers })
}

func newSweeper(t *testing.T, objects ...client.Object) (*Sweeper, *looked, *[]string) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	told, lines := &looked{}, &[]string{}
	log := funcr.New(func(_, line string) { *lines = append(*lines, line) }, funcr.Options{})
	return New(Config{
		Cache: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
		Rows:  &table{}, Planner: told, Report: told, Wake: func() {}, Log: log,
	}), told, lines
}

func TestASweepLooksAtThePipelinesAndAtTheBuildsOfWhichSomethingIsStillToCome(t *testing.T) {
	t.Parallel()
	s, told, _ := newSweeper(t,
		build("runs-itself", v1alpha1.BuildRunning, nil),
		build("untold", v1alpha1.BuildSucceeded, nil),
		build("waits", v1alpha1.BuildSucceeded, &v1alpha1.TriggerSummary{Total: 2, Pending: 1, Succeeded: 1}),
		build("under-way", v1alpha1.BuildSucceeded, &v1alpha1.TriggerSummary{Total: 1, Submitted: 1}),
		build("runs", v1alpha1.BuildSucceeded, &v1alpha1.TriggerSummary{Total: 1, Running: 1}),
		build("over", v1alpha1.BuildSucceeded, &v1alpha1.TriggerSummary{Total: 2, Succeeded: 1, Failed: 1}),
		build("failed", v1alpha1.BuildFailed, &v1alpha1.TriggerSummary{Skipped: 2}),
		given.CdPipeline("web"), given.CdPipeline("shop"))
	require.NoError(t, s.lookAgain(t.Context()))
	require.ElementsMatch(t, []string{"untold", "waits", "under-way", "runs"}, told.builds)
	require.ElementsMatch(t, []string{"web", "shop"}, told.pipelines)
}

func TestABuildWhosePlanPanicsKeepsNoOtherAndIsToldWithItsStack(t *testing.T) {
	t.Parallel()
	s, told, lines := newSweeper(t,
		build("first", v1alpha1.BuildSucceeded, nil), build("poison", v1alpha1.BuildSucceeded, nil), build("second", v1alpha1.BuildSucceeded, nil))
	_, err := s.runOnce(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"first", "second"}, told.planned)
	require.Contains(t, (*lines)[0], "spilled")
	require.Contains(t, (*lines)[0], "sweeper_test.go")
	require.ElementsMatch(t, []string{"first", "poison", "second"}, told.builds, "the other steps are taken all the same")
}

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable {
		s, _, _ := newSweeper(t)
		return s
	})
}
