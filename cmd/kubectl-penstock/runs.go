package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func runsCommand(o *options) *cobra.Command {
	var limit int
	command := &cobra.Command{
		Use: "runs PIPELINE", Short: "List the runs of a CdPipeline, the newest first",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var list rest.RunList
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if err := connected.get(command.Context(), path("namespaces", connected.namespace, "pipelines", args[0], "runs"), query, &list); err != nil {
				return err
			}
			if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), list, runsTable(list, args[0], time.Now())); err != nil {
				return err
			}
			if list.Next != "" {
				fmt.Fprintln(command.ErrOrStderr(), "There are older runs: see --limit.")
			}
			return nil
		},
	}
	command.Flags().IntVar(&limit, "limit", 50, "most runs; up to 500")
	return completing(command, o, "CdPipeline", nil)
}

func runsTable(list rest.RunList, pipeline string, now time.Time) table {
	t := table{
		head: []string{"RUN", "BUILD", "OUTCOME", "STAGES", "AGE", "ACTOR", "IMAGE", "MESSAGE"}, wide: 5,
		empty: "Pipeline " + pipeline + " has no runs.",
	}
	var clusters []string
	for _, run := range list.Items {
		stages := make([]string, len(run.Stages))
		for i, stage := range run.Stages {
			stages[i] = stage.Stage + ":" + reasoned(stage.State, stage.Reason)
		}
		t.rows = append(t.rows, []string{
			strconv.FormatInt(run.ID, 10), run.Build, run.Outcome, strings.Join(stages, " "), age(&run.CreatedAt, now), run.Actor, run.Image, reached(run).Message,
		})
		t.names = append(t.names, "run/"+strconv.FormatInt(run.ID, 10))
		clusters = append(clusters, run.Cluster)
	}
	return t.withClusters(1, clusters)
}
