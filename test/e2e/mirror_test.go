package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// mirrored waits until the tables believe that these objects exist.
func mirrored(w *world.World, want ...string) {
	w.Eventually("mirrored: "+strings.Join(want, ", "), func(ctx context.Context) bool {
		var names string
		err := w.Database.QueryRow(ctx, `SELECT COALESCE(string_agg(name, ', ' ORDER BY name), '') FROM (
			SELECT 'build ' || build_name || ' ' || phase AS name FROM ci_build WHERE deleted_at IS NULL
			UNION ALL SELECT 'cd ' || pipeline || CASE WHEN suspended THEN ' suspended' ELSE '' END FROM cd_pipeline WHERE deleted_at IS NULL AND spec_hash <> ''
			UNION ALL SELECT 'ci ' || pipeline FROM ci_pipeline WHERE deleted_at IS NULL) o`).Scan(&names)
		return err == nil && names == strings.Join(want, ", ")
	})
}

func TestTheTablesKnowWhichObjectsExist(t *testing.T) {
	t.Parallel()
	// Narrow: its controller is killed, and others need theirs.
	w := newNarrowWorld(t, seldom)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("api", given.Suspended), given.CiBuild("b1"))
	controller := w.Start()
	mirrored(w, "build b1 Pending", "cd api suspended", "cd web", "ci ci")
	w.Succeed("b1")
	w.Create(given.CiBuild("b2"))
	w.Finish("b2", v1alpha1.BuildFailed)
	change(t, w, "api", `{"suspend":false}`)
	mirrored(w, "build b1 Succeeded", "build b2 Failed", "cd api", "cd web", "ci ci")

	before := w.Count(`SELECT count(*) FROM cd_pipeline`)
	runsAre(t, w, "web", "b1 Succeeded")
	w.Delete(given.CiBuild("b2"), given.CdPipeline("api"))
	w.Create(given.CdPipeline("api", given.Manual))
	// The old one has the same name, and may be seen until the new one is.
	w.Eventually("the new one is another", func(context.Context) bool { return w.Count(`SELECT count(*) FROM cd_pipeline`) == before+1 })
	mirrored(w, "build b1 Succeeded", "cd api", "cd web", "ci ci")

	require.NoError(t, controller.Kill())
	w.Delete(given.CdPipeline("api"), given.CdPipeline("web"))
	w.Create(given.CdPipeline("web", given.Manual, given.Suspended), given.CiBuild("b3"))
	w.Start()
	mirrored(w, "build b1 Succeeded", "build b3 Pending", "cd web suspended", "ci ci")
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM cd_pipeline WHERE pipeline = 'web' AND deleted_at IS NOT NULL`))
	w.Judge()
}
