package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func queueCommand(o *options) *cobra.Command {
	var state string
	var everywhere bool
	var limit int
	command := &cobra.Command{
		Use: "queue", Short: "List what waits for a slot, in the order in which it is served",
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			query := url.Values{"limit": {strconv.Itoa(limit)}, "state": {state}}
			if !everywhere {
				query.Set("namespace", connected.namespace)
			}
			var queue rest.Queue
			if err := connected.get(command.Context(), path("queue"), query, &queue); err != nil {
				return err
			}
			if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), queue, queueTable(queue, state, time.Now())); err != nil {
				return err
			}
			fmt.Fprintf(command.ErrOrStderr(), "%d wait for a slot, %d are held, %d are being created, %d are active.\n",
				queue.Counts.Pending, queue.Counts.Held, queue.Counts.Submitting, queue.Counts.Active)
			return nil
		},
	}
	command.Flags().StringVar(&state, "state", "Pending", "Pending, Held, Submitting, Submitted or Running")
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "all namespaces that you may read")
	command.Flags().IntVar(&limit, "limit", 50, "most tasks; up to 500")
	return command
}

func queueTable(queue rest.Queue, state string, now time.Time) table {
	t := table{
		head: []string{"NAMESPACE", "PIPELINE", "STAGE", "BUILD", "REASON", "PRIORITY", "WAITS", "TASK", "RUN", "FAILURES", "MESSAGE"}, wide: 7,
		empty: "No task is " + state + ".",
	}
	var clusters []string
	for _, task := range queue.Items {
		t.rows = append(t.rows, []string{
			task.Namespace, task.Pipeline, task.Stage, task.Build, task.Reason, strconv.Itoa(int(task.Priority)), age(&task.QueuedAt, now),
			strconv.FormatInt(task.ID, 10), strconv.FormatInt(task.Run, 10), strconv.Itoa(int(task.Failures)), task.Message,
		})
		t.names = append(t.names, "task/"+strconv.FormatInt(task.ID, 10))
		clusters = append(clusters, task.Cluster)
	}
	return t.withClusters(1, clusters)
}
