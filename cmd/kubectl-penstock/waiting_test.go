package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

func TestResumeChoosesTheOnlyBuildThatWaits(t *testing.T) {
	t.Parallel()
	run := func(id int64, build string, stages ...rest.Stage) rest.Run {
		return rest.Run{ID: id, Build: build, Stages: stages}
	}
	held := func(stage, reason string) rest.Stage { return rest.Stage{Stage: stage, State: "Held", Reason: reason} }
	for name, test := range map[string]struct {
		runs    []rest.Run
		stage   string
		build   string
		refused string
	}{
		"no run":             {nil, "", "", ""},
		"nothing waits":      {[]rest.Run{run(2, "b2", rest.Stage{Stage: "DEPLOY", State: "Running"})}, "", "", ""},
		"one of two waits":   {[]rest.Run{run(2, "b2", held("DEPLOY", "Turn")), run(1, "b1", held("DEPLOY", "Person"))}, "", "b1", ""},
		"two runs of it":     {[]rest.Run{run(2, "b1", held("PRE", "Window")), run(1, "b1", held("PRE", "Freeze"))}, "", "b1", ""},
		"for what is before": {[]rest.Run{run(2, "b2", held("PRE", "Hold"), held("DEPLOY", "StageBefore"))}, "", "", ""},
		"at a stage":         {[]rest.Run{run(2, "b2", held("PRE", "Person")), run(1, "b1", held("POST", "Person"))}, "POST", "b1", ""},
		"the older one was asked for after the newer": {
			[]rest.Run{run(57, "cart-2", held("DEPLOY", "Person")), run(55, "cart-3", held("DEPLOY", "Person"))}, "", "",
			"several builds wait in CdPipeline cart: run 57 of build cart-2, run 55 of build cart-3. Name one by --build, or a run by its number",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			build, err := onlyBuild(resumableRuns(test.runs, test.stage), "cart")
			require.Equal(t, test.build, build)
			if test.refused != "" {
				require.ErrorContains(t, err, test.refused)
				return
			}
			require.NoError(t, err)
		})
	}
}
