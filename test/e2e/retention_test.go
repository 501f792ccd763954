package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// longAgo makes all that has happened 91 days older.
func longAgo(t *testing.T, w *world.World) {
	t.Helper()
	for table, columns := range map[string][]string{
		"event": {"at"}, "deployed": {"at"}, "cd_workflow": {"created_at", "finished_at"}, "trigger_decision": {"decided_at"},
		"task": {"created_at", "finished_at", "settled_at", "changed_at"}, "turn": {"created_at", "ended_at"},
		"ci_artifact": {"created_at"}, "ci_build": {"deleted_at"},
	} {
		for _, column := range columns {
			_, err := w.Database.Exec(t.Context(), fmt.Sprintf("UPDATE %s SET %s = %[2]s - interval '91 days'", table, column))
			require.NoError(t, err)
		}
	}
}

// The builds app-1 and app-2 go; the Workflows of all stay, since nobody deletes them.
func TestHistoryEndsAndNothingIsLostOrTriggeredAgainByThat(t *testing.T) {
	t.Parallel()
	// Narrow: its controller is stopped and its rows are made older, and others need theirs.
	w := newNarrowWorld(t)
	w.Create(given.CiPipeline(given.CI))
	w.CreateFamily(given.FamilyOf(given.CdPipeline("web")))
	controller := w.Start()
	var runs []string
	for i := 1; i <= 4; i++ {
		name := fmt.Sprintf("app-%d", i)
		build(w, name)
		w.Finish(name, v1alpha1.BuildSucceeded, version(i))
		runs = append(runs, name+" Succeeded")
		runsAre(t, w, "web", runs...)
	}
	require.Equal(t, 4, w.Count("SELECT count(*) FROM ci_build WHERE deleted_at IS NULL"), "without buildHistory, every CiBuild stays")

	w.Patch(&v1alpha1.CiPipeline{}, given.CI, `{"spec":{"buildHistory":{"successful":2,"failed":0}}}`)
	w.Eventually("two builds are deleted", func(context.Context) bool {
		return w.Count("SELECT count(*) FROM ci_build WHERE deleted_at IS NOT NULL") == 2
	})
	require.NoError(t, controller.Stop())
	longAgo(t, w)

	w.Start() // the first round begins with it
	runsAre(t, w, "web", runs[2:]...)
	w.Eventually("the rows of their builds are gone", func(context.Context) bool { return w.Count("SELECT count(*) FROM ci_build") == 2 })
	build(w, "app-5")
	w.Finish("app-5", v1alpha1.BuildSucceeded, version(5))
	runsAre(t, w, "web", append(runs[2:], "app-5 Succeeded")...)
	w.MadeAre(5)
	for _, name := range []string{"app-3", "app-4"} {
		w.KubectlTells("get cibuild "+name, "Succeeded")
		require.Equal(t, v1alpha1.ConditionPlanned+"=True", planned(w.Build(t.Context(), name)))
	}
}

// planned is what a build says of its plan.
func planned(build *v1alpha1.CiBuild) string {
	for _, condition := range build.Status.Conditions {
		if condition.Type == v1alpha1.ConditionPlanned {
			return condition.Type + "=" + string(condition.Status)
		}
	}
	return ""
}
