package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/given"
)

var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

const ofOld = `old, build shop-1
  image    registry.example.com/app-000:1.0
  decided  Skipped, Suspended: spec.suspend is true (TIME)
  rule     spec.suspend of the pipeline was true when its parent succeeded
  change   $ kubectl patch cdpipeline old -n default --type merge -p '{"spec":{"suspend":false}}'
  change   $ kubectl penstock trigger old --build shop-1 -n default
`

const ofWeb = `web-000, build shop-1, run 1: DEPLOY Pending
  image    registry.example.com/app-000:1.0
  decided  Triggered by build shop-1 (TIME)
  rule     the parent succeeded, the pipeline is neither suspended nor Manual, and its filter is true or absent
  waits    for a slot; it is the next; no controller that claims is known, so that nothing goes on: see whether penstock runs
  since    TIME
  change   $ kubectl penstock cancel run 1 -n default
`

func TestThePluginExplains(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	explained := func(args ...string) string {
		code, out, errOut := p.run(t, append([]string{"explain", "-n", given.Namespace}, args...)...)
		require.Zero(t, code, errOut)
		return stamp.ReplaceAllString(out, "TIME")
	}
	require.Equal(t, ofWeb, explained("run", "1"))
	require.Equal(t, "CdPipeline old hangs below CiPipeline ci; spec.suspend is true: new builds are skipped until it is false.\n"+
		"  $ kubectl patch cdpipeline old -n default --type merge -p '{\"spec\":{\"suspend\":false}}'\n\n"+ofOld, explained("pipeline", "old"))
	build := explained("build", "shop-1")
	require.Contains(t, build, "Build shop-1 of CiPipeline ci has succeeded, and was decided on at TIME: 2 runs, 2 not ended, 0 succeeded, 0 ended otherwise.\n\n"+ofOld+"\n"+ofWeb)
	require.Contains(t, explained("build", "shop-1", "-o", "json"), `"decided": "Skipped, Suspended: spec.suspend is true"`)
}
