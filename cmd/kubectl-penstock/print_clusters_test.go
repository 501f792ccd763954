package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

func TestTheClusterOfARunIsNamedWhereAnyIsNotHome(t *testing.T) {
	t.Parallel()
	now := time.Now()
	runs := rest.RunList{Items: []rest.Run{{ID: 1, Build: "b1"}, {ID: 2, Build: "b2"}}}
	require.NotContains(t, runsTable(runs, "p", now).head, "CLUSTER")
	runs.Items[1].Cluster = "eu-1"
	table := runsTable(runs, "p", now)
	require.Equal(t, []string{"RUN", "CLUSTER", "BUILD"}, table.head[:3])
	require.Equal(t, []string{"1", "", "b1"}, table.rows[0][:3])
	require.Equal(t, []string{"2", "eu-1", "b2"}, table.rows[1][:3])
	require.Equal(t, 6, table.wide)

	queue := rest.Queue{Items: []rest.Task{{Pipeline: "p"}}}
	require.NotContains(t, queueTable(queue, "Pending", now).head, "CLUSTER")
	queue.Items[0].Cluster = "eu-1"
	require.Equal(t, []string{"NAMESPACE", "CLUSTER", "PIPELINE"}, queueTable(queue, "Pending", now).head[:3])

	status := rest.ApplicationStatus{}
	status.CI.Pipelines = []rest.CiPipelineStatus{{Name: "c"}}
	status.CD.Pipelines = []rest.CdPipelineStatus{{Name: "p", LastRun: &rest.LastRun{Cluster: "eu-1"}}}
	table = statusTable(status, now)
	require.Equal(t, []string{"CI", "c", "", ""}, table.rows[0][:4])
	require.Equal(t, []string{"CD", "p", "", "eu-1"}, table.rows[1][:4])
	status.CD.Pipelines[0].Waiting = []rest.LastRun{{ID: 7, Build: "b1", Stage: "DEPLOY", State: "Held", Reason: "Person", Cluster: "eu-2"}}
	table = statusTable(status, now)
	require.Equal(t, []string{"CD", "p", "", "eu-2", "b1", "DEPLOY Held/Person"}, table.rows[2][:6])
	require.Equal(t, []string{"cipipeline/c", "cdpipeline/p"}, table.names, "runs are no pipelines")
}

func TestTopAndExplainNameTheCluster(t *testing.T) {
	t.Parallel()
	now := time.Now()
	require.Equal(t, "shop/p DEPLOY of b in cluster eu-1 for 1s: for a slot",
		waitingText(rest.Task{Namespace: "shop", Pipeline: "p", Stage: "DEPLOY", Build: "b", Cluster: "eu-1", QueuedAt: now.Add(-time.Second)}, false, now))
	require.Equal(t, "p, build b, run 3 in cluster eu-1: DEPLOY Running",
		headOf(rest.PipelineExplanation{Pipeline: "p", Build: "b", Run: 3, Cluster: "eu-1", Stage: "DEPLOY", State: "Running"}))
	require.Equal(t, "p, build b, run 3: DEPLOY Running", headOf(rest.PipelineExplanation{Pipeline: "p", Build: "b", Run: 3, Stage: "DEPLOY", State: "Running"}))
}
