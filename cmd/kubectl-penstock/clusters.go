package main

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func clustersCommand(o *options) *cobra.Command {
	command := listClusters(o, "clusters")
	command.Short = "List, add, import, remove, confirm and give up target clusters"
	command.Long = `List the health of the target clusters. The commands below add and remove them.

clusters and clusters list ask penstock server. add, import and remove write TargetClusters, and
Secrets in the namespace --server-namespace, with your own rights: you need get, create, update and
delete on both, and list on TargetClusters to remove. confirm and give-up create a RunRequest.`
	command.SuggestionsMinimumDistance = 2
	command.Args = subcommand
	command.AddCommand(listClusters(o, "list"), addClusterCommand(o), importClustersCommand(o), removeClusterCommand(o), confirmClusterCommand(o), giveUpClusterCommand(o))
	return command
}

// listClusters lists them under this name.
func listClusters(o *options, name string) *cobra.Command {
	var selector string
	command := &cobra.Command{
		Use: name, Short: "List the health of the target clusters",
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			query := url.Values{}
			if selector != "" {
				query.Set("clusterSelector", selector)
			}
			var list rest.ClusterList
			if err := connected.get(command.Context(), path("clusters"), query, &list); err != nil {
				return err
			}
			return o.print(command.OutOrStdout(), command.ErrOrStderr(), list, clustersTable(list, time.Now()))
		},
	}
	command.Flags().StringVarP(&selector, "selector", "l", "", "only clusters whose labels this selects")
	return command
}

func clustersTable(list rest.ClusterList, now time.Time) table {
	t := table{
		head: []string{"NAME", "PHASE", "VERSION", "LATENCY", "LANE", "SINCE", "REASON", "MESSAGE"}, wide: 6,
		empty: "There are no target clusters.",
	}
	for _, cluster := range list.Items {
		latency := ""
		if cluster.LatencyMillis > 0 {
			latency = strconv.FormatInt(cluster.LatencyMillis, 10) + "ms"
		}
		lane, message := laneOf(cluster)
		t.rows = append(t.rows, []string{cluster.Name, cluster.Phase, cluster.Version, latency, lane, age(cluster.Since, now), cluster.Reason, message})
		t.names = append(t.names, "targetcluster/"+cluster.Name)
	}
	return t
}

// laneOf says whether runs and builds are triggered in a cluster, empty where there are none, and
// what is wrong there.
func laneOf(cluster rest.Cluster) (lane, message string) {
	switch {
	case cluster.Lane == nil:
		return "", cluster.Message
	case cluster.Lane.Open:
		return "open", cluster.Message
	case cluster.Lane.Reason == cluster.Reason: // the message of the health says why
		return "shut", cluster.Message
	default:
		return "shut: " + cluster.Lane.Reason, cluster.Lane.Message
	}
}
