package e2e

import (
	"testing"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// A freeze is the whole controller's, and the settings are too: this test runs alone.
func TestAFreezeHoldsWhatComesAndNamesItsReason(t *testing.T) {
	w := newWorld(t)
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("api"), given.CdPipeline("below", given.BelowCd("web")))
	w.Start()
	set(t, w, map[string]string{"FREEZE": `{"reason":"stock-taking","namespaces":["` + w.Namespace + `","another"]}`})
	settingsTell(w, "SettingsApplied", "stock-taking")
	build(w, "app-1")
	w.Succeed("app-1")
	stagesAre(w, "web", "app-1", "DEPLOY Held/Freeze")
	stagesAre(w, "api", "app-1", "DEPLOY Held/Freeze")
	w.KubectlTells("describe cibuild app-1", "2 runs wait for the freeze to end")
	newExplainer(t, w).saysOf("app-1", "web", "waits for the freeze to end: deployments are frozen: stock-taking;", "kubectl penstock resume run ", " --stage DEPLOY --reason TEXT")
	w.KubectlTells("describe cdpipeline web", "deployments are frozen: stock-taking; wait until the setting FREEZE is taken away, or create a RunRequest with action Resume")
	w.Create(given.RunRequest("urgent", v1alpha1.ActionResume, given.OfPipeline("api"), given.OfBuild("app-1"), given.BecauseOf("a leak")))
	runsAre(t, w, "api", "app-1 Succeeded")
	stagesAre(w, "web", "app-1", "DEPLOY Held/Freeze")
	set(t, w, map[string]string{"FREEZE": `{"reason":"stock-taking","until":"` + time.Now().UTC().Add(2*time.Second).Format(time.RFC3339) + `"}`})
	runsAre(t, w, "below", "app-1 Succeeded")
	w.Judge()
}
