package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limitRow is the row of a limit, as its reader reads it.
func (b *tab) limitRow(key string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector("main tr[data-key=%s]").innerText`, key))
}

// types has a field hold this text, and nothing else.
func (b *tab) types(selector, text string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => { document.querySelector(%q).value = %q; return true; })()`, selector, text))
}

func TestALimitIsChangedAndTakenBackWhileTheControllerRuns(t *testing.T) {
	s := theStage(t)
	token, err := s.person(t.Context(), "limiter", "penstock-reader", "penstock-settings-editor")
	require.NoError(t, err)
	b := s.open(t).signIn(token)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme).visit("/settings").accessible().fits().screenshot("settings-editor-" + theme)
	}
	b.sees("Tuning advice")
	require.Contains(t, b.limitRow("KUBE_API_QPS"), "environment of the controller")
	require.Contains(t, b.limitRow("CI_BATCH_SIZE"), "default")
	change := func(value, reason string) {
		eval[bool](b, `(() => { document.querySelector("main tr[data-key=CI_BATCH_SIZE] .acts a").click(); return true; })()`)
		b.sees("Change CI_BATCH_SIZE?").accessible().fits().screenshot("confirm-limit-dark")
		b.types("#value", value)
		b.fill("#reason", reason).sees("CI_BATCH_SIZE is changed in the ConfigMap").accessible().fits()
	}
	comesFrom := func(from string) {
		t.Helper()
		require.Eventually(t, func() bool { return contains(b.visit("/settings").limitRow("CI_BATCH_SIZE"), from) }, patience, 500*time.Millisecond)
	}
	change("7", "a burst of builds")
	comesFrom("ConfigMap penstock-settings")
	require.Contains(t, b.limitRow("CI_BATCH_SIZE"), "7")
	change("", "the burst is over")
	comesFrom("default")
	b.quiet()

	b.visit("/actions/change-limit?namespace=penstock-system&limit=CI_BATCH_SIZE")
	b.types("#value", "many")
	b.fill("#reason", "x").sees(`CI_BATCH_SIZE="many": must be a whole number`).accessible()
}

func TestWhoMayNotChangeLimitsSeesThemAlone(t *testing.T) {
	s := theStage(t)
	b := s.open(t).signIn(s.reader).visit("/settings").sees("KUBE_API_QPS")
	require.Zero(t, eval[int](b, `document.querySelectorAll("main a[href*='/actions/']").length`))
}
