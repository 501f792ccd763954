package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// buildSteps are those on the way from a CiBuild to its Workflow, and from that one's end to
// the CiBuild's; with -short those around the two commits.
func buildSteps() []failpoint.Name {
	if testing.Short() {
		return []failpoint.Name{failpoint.BuildAfterCommit, failpoint.SubmitAfterCreate, failpoint.BuildBeforeStatus, failpoint.BuildAfterStatus}
	}
	return []failpoint.Name{
		failpoint.BuildBeforeCommit, failpoint.BuildAfterCommit, failpoint.DispatchAfterClaim, failpoint.SubmitBeforeCreate, failpoint.SubmitAfterCreate,
		failpoint.CompleteBeforeCommit, failpoint.CompleteAfterCommit, failpoint.TrackBeforeCommit, failpoint.TrackAfterCommit,
		failpoint.BuildBeforeStatus, failpoint.BuildAfterStatus,
	}
}

// A build that runs here is built once, tells its artifacts, and lets the next one of its ref
// start, wherever the controller is killed.
//
//nolint:tparallel // so its subtests are parallel, and it is not
func TestAKillAtAnyStepOfABuildBuildsItOnce(t *testing.T) {
	for _, name := range buildSteps() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, samePod)
			w.Create(given.Declares(given.BuildTemplate("build", "registry.example.com/shop", time.Second), wfv1.Parameter{Name: "build"}),
				given.CiPipeline("shop", given.Builds("build"), given.BuildPolicy(v1alpha1.ConcurrencyQueue)), given.CdPipeline("shop-staging", given.BelowCi("shop")))
			broken := breaking(w, fmt.Sprintf("%s=1*kill", name))
			require.NoError(t, broken.WaitReady(t.Context()))
			w.Create(given.CiBuild("b1", given.BuildOf("shop")), given.CiBuild("b2", given.BuildOf("shop")))
			killAnyhow(t, broken)
			next := w.Launch(env.ControllerOptions{})
			require.NoError(t, next.WaitReady(t.Context()))
			w.Eventually("both are built and deployed", func(ctx context.Context) bool {
				for _, build := range []string{"b1", "b2"} {
					if w.Build(ctx, build).Status.Phase != v1alpha1.BuildSucceeded {
						return false
					}
				}
				return w.Count(`SELECT count(*) FROM cd_workflow WHERE outcome = 'Succeeded'`) == 2
			})
			require.Equal(t, 2, w.Count(`SELECT count(*) FROM task WHERE kind = 'ci' AND status = 'Succeeded' AND settled_at IS NOT NULL`))
			require.Len(t, w.Workflows(), 4)
			w.Judge()
		})
	}
}
