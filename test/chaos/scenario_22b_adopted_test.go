package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/given"
)

// The database is restored as it was before the build. Only a Workflow that is older than
// a minute is looked at. What statuses told before the restore is no row's any more, so
// that the witness and the oracle are not asked.
func TestAWorkflowThatRunsWhileTheDatabaseForgetsItIsAdopted(t *testing.T) {
	long(t)
	t.Parallel()
	w := newWorld(t)
	w.Create(given.WorkflowTemplate("slow", 90*time.Second), given.CiPipeline(given.CI), given.CiBuild("b1"),
		given.CdPipeline("web", given.WithPost, given.Runs("slow")), given.CdPipeline("below", given.BelowCd("web")))
	controller := w.Start()
	w.Succeed("b1")
	w.RowsAre(1, "Running")
	w.KubectlTells("describe cibuild b1", "1 of 1 runs have a Workflow")
	require.NoError(t, controller.Stop())
	_, err := w.Database.Exec(t.Context(), `TRUNCATE ci_build, ci_artifact, cd_workflow, cd_workflow_runner, task, turn, trigger_decision, cd_pipeline, ci_pipeline, deployed, event`)
	require.NoError(t, err)

	w.Start()
	w.KubectlTells("describe cibuild b1", "RecordsLost")
	w.RowsAre(1, "Running")
	w.KubectlTells("get events", "of which its database knew nothing")
	w.Eventually("the run has gone on to its end", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM cd_workflow WHERE pipeline = 'web' AND outcome = 'Succeeded'") == 1
	})
	require.Equal(t, 2, w.Rows("Succeeded"))
	require.Zero(t, w.Count("SELECT count(*) FROM cd_workflow WHERE pipeline = 'below'"))
	w.MadeAre(2)
}
