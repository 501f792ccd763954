package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/explain"
)

// Every command that an explanation names is one of this plugin's, and its flags are the
// command's.
func TestTheCommandsThatExplanationsNameAreThePlugins(t *testing.T) {
	t.Parallel()
	decision := &rest.Decision{Build: "b1", Pipeline: "web", Outcome: "Triggered", Reason: "Triggered"}
	run := func(outcome, state, reason string) *explain.Run {
		return &explain.Run{Run: rest.Run{ID: 7, Outcome: outcome, Stages: []rest.Stage{{Stage: "DEPLOY", State: state, Reason: reason}}}, Task: explain.Task{TurnOf: "b0"}}
	}
	var advised []string
	for _, one := range []*explain.Run{
		run("", "Held", "Person"), run("", "Held", "Window"), run("", "Held", "Hold"), run("", "Held", "Turn"), run("", "Running", ""),
		run("Failed", "Failed", "WorkflowFailed"), run("Superseded", "Superseded", "Superseded"),
	} {
		facts := explain.Facts{Namespace: "shop", Build: "b1", Pipeline: "web", Decision: decision, Run: one}
		advised = append(advised, explain.Pipeline(facts).Commands...)
	}
	require.GreaterOrEqual(t, len(advised), 8)
	for _, text := range advised {
		words := strings.Fields(text)
		require.Equal(t, []string{"kubectl", "penstock"}, words[:2], text)
		root := newRoot(&strings.Builder{}, &strings.Builder{})
		command, rest, err := root.Find(words[2:])
		require.NoError(t, err, text)
		require.NotSame(t, root, command, text)
		require.NoError(t, command.ParseFlags(rest), text)
		if slices.Contains([]string{"cancel", "retry", "resume"}, words[2]) {
			about, err := (&asking{}).about(command, command.Flags().Args(), subjectBuild)
			require.NoError(t, err, text)
			if text == "kubectl penstock cancel cdpipeline/web --build b0 -n shop" {
				continue // the turn is that of all its runs
			}
			require.Equal(t, subject{kind: subjectRun, run: 7}, about, text)
		}
	}
}
