package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store"
)

func TestExplainBuild(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	lanes := map[string]store.LaneState{"cd": {InFlight: 2, Limit: 5, Triggered: 60, Observed: store.RateWindow}}
	require.NoError(t, s.rows.Beat(t.Context(), "w", "r", store.WorkerState{Lanes: lanes}))
	var explained rest.BuildExplanation
	s.get(t, token, base+"/builds/b1/explanation").into(t, &explained)
	require.Equal(t, namespace, explained.Namespace)
	require.Equal(t, "b1", explained.Build)
	require.True(t, strings.HasPrefix(explained.Summary, "build b1 of CiPipeline ci has succeeded, and was decided on at "), explained.Summary)
	require.Len(t, explained.Pipelines, 3)
	old, web := explained.Pipelines[1], explained.Pipelines[2]
	require.Equal(t, "old", old.Pipeline)
	require.Equal(t, "Skipped, Suspended: spec.suspend is true", old.Decided)
	require.Equal(t, "spec.suspend of the pipeline was true when its parent succeeded", old.Rule)
	require.NotNil(t, old.At)
	require.Equal(t, []string{
		`kubectl patch cdpipeline old -n ` + namespace + ` --type merge -p '{"spec":{"suspend":false}}'`, "kubectl penstock trigger old --build b1 -n " + namespace,
	}, old.Commands)
	require.Equal(t, "web", web.Pipeline)
	require.Positive(t, web.Run)
	require.Equal(t, "Pending", web.State)
	require.NotNil(t, web.Since)
	require.Equal(t, "a slot: 2 of 5 are in use; about 1 s: 1 before it, 1 triggered per second over the last minute", web.Waits)

	s.submit(t)
	var later rest.BuildExplanation
	s.get(t, token, base+"/builds/b1/explanation").into(t, &later)
	require.Empty(t, later.Pipelines[2].Waits)
	require.Len(t, later.Pipelines[2].Became, 1)
	require.Contains(t, later.Pipelines[2].Became[0], "stage DEPLOY has a Workflow that has not begun (Workflow web-deploy-")
	require.Contains(t, s.get(t, token, base+"/builds/b9/explanation").detail(t, http.StatusNotFound), "no build b9 is recorded in namespace "+namespace)
}

func TestAnExplanationOfABuildComesInPages(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	var pipelines []string
	for next := ""; ; {
		var page rest.BuildExplanation
		s.get(t, token, base+"/builds/b1/explanation?limit=2&cursor="+next).into(t, &page)
		require.NotContains(t, page.Summary, "no CdPipeline hung below")
		for _, one := range page.Pipelines {
			pipelines = append(pipelines, one.Pipeline)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	require.Equal(t, []string{"api", "old", "web"}, pipelines)
	var page rest.BuildExplanation
	s.get(t, token, base+"/builds/b1/explanation?limit=2").into(t, &page)
	s.plan(t, namespace, "b2", nil)
	require.Equal(t, http.StatusBadRequest, s.get(t, token, base+"/builds/b2/explanation?cursor="+page.Next).status, "a cursor belongs to its build")
}

func TestAnExplanationNamesNoWorkflowOfNamespacesThatTheCallerMayNotRead(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	require.NoError(t, s.rows.Beat(t.Context(), "w", "r", store.WorkerState{
		Lanes:   map[string]store.LaneState{"cd": {GateClosed: true, Active: 7, MaxActive: 7}},
		Holders: []string{"hidden/a since NOON", namespace + "/b since NOON", "…"},
	}))
	want := "Workflows to finish: 7 are unfinished, and MAX_ACTIVE_WORKFLOWS is 7; the oldest are " + namespace + "/b since NOON, 1 in namespaces that you may not read, …"
	var build rest.BuildExplanation
	s.get(t, token, base+"/builds/b1/explanation").into(t, &build)
	require.Equal(t, want, build.Pipelines[2].Waits)
	var pipeline rest.PipelineExplanations
	s.get(t, token, base+"/pipelines/web/explanation").into(t, &pipeline)
	require.Equal(t, want, pipeline.Pipelines[0].Waits)
	var run rest.PipelineExplanation
	s.get(t, token, base+"/runs/1/explanation").into(t, &run)
	require.Equal(t, want, run.Waits)
	s.get(t, s.reader(t), base+"/runs/1/explanation").into(t, &run)
	require.Contains(t, run.Waits, "the oldest are hidden/a since NOON, "+namespace, "who may list runs everywhere sees all")
}

func TestExplainPipeline(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	var explained rest.PipelineExplanations
	s.get(t, token, base+"/pipelines/old/explanation").into(t, &explained)
	require.Equal(t, "CdPipeline old hangs below CiPipeline ci; spec.suspend is true: new builds are skipped until it is false", explained.Summary)
	require.Len(t, explained.Commands, 1)
	require.Len(t, explained.Pipelines, 1)
	require.Equal(t, "b1", explained.Pipelines[0].Build)
	require.Equal(t, "Suspended", explained.Pipelines[0].Reason)
	require.Contains(t, s.get(t, token, base+"/pipelines/none/explanation").detail(t, http.StatusNotFound), "no CdPipeline none is recorded in namespace "+namespace)
}

func TestExplainRun(t *testing.T) {
	t.Parallel()
	s, _, base, token := shop(t)
	var build rest.BuildExplanation
	s.get(t, token, base+"/builds/b1/explanation").into(t, &build)
	var explained rest.PipelineExplanation
	s.get(t, token, base+"/runs/1/explanation").into(t, &explained)
	require.Equal(t, build.Pipelines[0], explained, "it is what the build's explanation says of it")
	require.Equal(t, "run 99 does not exist: no run has had a number that high", s.get(t, token, base+"/runs/99/explanation").detail(t, http.StatusNotFound))
}
