package sweep

import (
	"context"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/lifecycle"
)

// planner is what the planner was told.
type planner struct{ planned []string }

// Plan panics for one of the builds.
func (p *planner) Plan(_ context.Context, build types.NamespacedName) error {
	if build.Name == "poison" {
		panic("spilled")
	}
	p.planned = append(p.planned, build.Name)
	return nil
}

// succeeded is a build that nobody has planned.
func succeeded(name string) *v1alpha1.CiBuild {
	return given.CiBuild(name, func(b *v1alpha1.CiBuild) { b.Status.Phase = v1alpha1.BuildSucceeded })
}

func newSweeper(t *testing.T, objects ...client.Object) (*Sweeper, *planner, *[]string) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	told, rows, lines := &planner{}, &table{}, &[]string{}
	log := funcr.New(func(_, line string) { *lines = append(*lines, line) }, funcr.Options{})
	return New(Config{
		Cache: fake.NewClientBuilder().WithScheme(scheme).WithObjects(given.Copies(objects...)...).Build(),
		Rows:  rows, Planner: told, Tracker: rows, Wake: func() { rows.told = append(rows.told, "woken") }, Log: log,
	}), told, lines
}

func TestASweepPlansTheBuildsThatEndedAndWereNeverPlannedAndNoOther(t *testing.T) {
	t.Parallel()
	planned := succeeded("planned")
	planned.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionTrue}}
	s, told, _ := newSweeper(t, succeeded("forgotten"), planned, given.CiBuild("runs"))
	require.NoError(t, s.planBuilds(t.Context()))
	require.Equal(t, []string{"forgotten"}, told.planned)
}

func TestABuildWhosePlanPanicsKeepsNoOtherAndIsToldWithItsStack(t *testing.T) {
	t.Parallel()
	s, told, lines := newSweeper(t, succeeded("first"), succeeded("poison"), succeeded("second"))
	_, err := s.runOnce(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"first", "second"}, told.planned)
	require.Contains(t, (*lines)[0], "spilled")
	require.Contains(t, (*lines)[0], "sweeper_test.go")
	require.Equal(t, []string{"woken"}, s.Rows.(*table).told, "the other steps are taken all the same")
}

func TestStartStopStress(t *testing.T) {
	t.Parallel()
	lifecycle.Stress(t, func() manager.Runnable {
		s, _, _ := newSweeper(t)
		return s
	})
}
