package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

const (
	// allClusters is what --clusters takes beside names.
	allClusters = "all"
	// resourcePage is how many objects are asked for at once, maxPages how often: an answer
	// beyond that is for a program, and not for a terminal.
	resourcePage, maxPages = 5000, 100
	// defaultWait is longer than the server reads one cluster for.
	defaultWait = 10 * time.Second
)

// getOptions are the flags of get.
type getOptions struct {
	everywhere, fresh         bool
	clusters, clusterSelector string
	selector                  string
	wait                      time.Duration
}

func getCommand(o *options) *cobra.Command {
	var g getOptions
	command := &cobra.Command{
		Use: "get KIND[,KIND...]", Short: "List resources of target clusters, as kubectl get prints them",
		Long: `List resources of target clusters, as kubectl get prints them, with the cluster in the
first column. What a cluster does not answer is missing: it is named on stderr with the
reason, and the exit code is 3.`,
		Example: "  kubectl penstock get pods,deploy -A --clusters all\n  kubectl penstock get pods -n shop --clusters eu-1,eu-2 -l app=web -o wide",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			list, missing, err := g.resources(command, connected, args[0])
			if err != nil {
				return err
			}
			if err := o.printResources(command, list, g.everywhere); err != nil {
				return err
			}
			tellAges(command.ErrOrStderr(), list.Clusters)
			return partial(missing, len(list.Clusters))
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&g.everywhere, "all-namespaces", "A", false, "all namespaces that you may read")
	flags.StringVar(&g.clusters, "clusters", allClusters, "names of clusters, separated by commas, or all that you may read")
	flags.StringVar(&g.clusterSelector, "cluster-selector", "", "only clusters whose labels this selects")
	flags.StringVarP(&g.selector, "selector", "l", "", "only objects whose labels this selects")
	flags.BoolVar(&g.fresh, "fresh", false, "wait for what is read anew, instead of what was read up to 5 s ago")
	flags.DurationVar(&g.wait, "wait", defaultWait, "how long to wait for clusters that are slow to answer; 0 takes what the server has within two seconds")
	return command
}

func (g getOptions) query(kinds, namespace string) url.Values {
	query := url.Values{"kinds": {kinds}, "limit": {strconv.Itoa(resourcePage)}}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !g.everywhere {
		set("namespace", namespace)
	}
	if g.clusters != allClusters {
		set("clusters", g.clusters)
	}
	set("clusterSelector", g.clusterSelector)
	set("labelSelector", g.selector)
	if g.fresh {
		set("fresh", "true")
	}
	return query
}

// resources asks until every cluster has answered, or --wait is over. What the server has
// read meanwhile it has at once. An answer that is old is asked for again, to be read anew.
func (g getOptions) resources(command *cobra.Command, connected *connection, kinds string) (list rest.ResourceList, missing []string, err error) {
	query := g.query(kinds, connected.namespace)
	progress := progressOn(command.ErrOrStderr())
	defer progress("")
	isOld := g.fresh
	for until := time.Now().Add(g.wait); ; {
		list, missing, err = allResources(command.Context(), connected, query)
		query.Del("fresh")
		if err == nil && !isOld && g.wait > 0 && slices.ContainsFunc(list.Clusters, old) {
			isOld = true
			query.Set("fresh", "true")
			continue
		}
		pending := 0
		for _, cluster := range list.Clusters {
			if cluster.State == "Pending" {
				pending++
			}
		}
		if err != nil || pending == 0 || time.Now().After(until) {
			return list, missing, err
		}
		progress(fmt.Sprintf("%d of %d clusters have answered", len(list.Clusters)-pending, len(list.Clusters)))
	}
}

// oldAge is how many seconds old an answer is that people take for the present.
const oldAge = 5

// old tells whether what is shown of a cluster was read a while ago, and nothing has come since.
func old(cluster rest.ResourceCluster) bool {
	return cluster.State == "Stale" && cluster.AgeSeconds >= oldAge
}

// tellAges names on stderr the clusters whose resources are shown as they were.
func tellAges(errOut io.Writer, clusters []rest.ResourceCluster) {
	for _, cluster := range clusters {
		if old(cluster) {
			fmt.Fprintf(errOut, "note: %s is shown as it was %d s ago: it is being read anew\n", printable(cluster.Name), cluster.AgeSeconds)
		}
	}
}

// progressOn returns what shows a line on a terminal in place of the one before, and
// nothing elsewhere.
func progressOn(errOut io.Writer) func(line string) {
	file, ok := errOut.(*os.File)
	if !ok {
		return func(string) {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func(string) {}
	}
	const toStart, clearLine = "\r", "\x1b[K"
	shown := false
	return func(line string) {
		if shown || line != "" {
			fmt.Fprint(file, toStart+clearLine+line)
		}
		shown = line != ""
	}
}

// allResources reads every page. What was missing on any of them is told by cluster, in
// the order of names.
func allResources(ctx context.Context, connected *connection, query url.Values) (list rest.ResourceList, missing []string, err error) {
	query = maps.Clone(query)
	known := map[string]bool{}
	for page := range maxPages {
		var next rest.ResourceList
		if err := connected.get(ctx, path("clusters", "resources"), query, &next); err != nil {
			return list, nil, err
		}
		for _, cluster := range next.Clusters {
			if why := lacks(cluster); why != "" && !known[cluster.Name] {
				known[cluster.Name] = true
				missing = append(missing, cluster.Name+": "+why)
			}
		}
		if page == 0 {
			list = next
		} else {
			join(&list, next)
		}
		if list.Next = next.Next; list.Next == "" {
			return list, missing, nil
		}
		query.Set("cursor", next.Next)
		query.Del("fresh") // it was read for the first page
	}
	return list, append(missing, fmt.Sprintf("there are more than %d objects: name clusters or a namespace", maxPages*resourcePage)), nil
}

// join adds a page to those before it.
func join(list *rest.ResourceList, next rest.ResourceList) {
	list.Complete = list.Complete && next.Complete
	for i := range min(len(list.Kinds), len(next.Kinds)) {
		kind := &list.Kinds[i]
		if len(kind.Columns) == 0 {
			kind.Columns = next.Kinds[i].Columns
		}
		kind.Items = append(kind.Items, next.Kinds[i].Items...)
	}
}

// lacks is why something of a cluster is missing; empty where nothing is.
func lacks(cluster rest.ResourceCluster) string {
	switch {
	case cluster.State == "Skipped":
		return ""
	case cluster.Error != "":
		return cluster.State + ": " + cluster.Error
	case cluster.Truncated:
		return fmt.Sprintf("it has %d objects, which are more than are read of one cluster: name a namespace, or labels by -l", cluster.Count)
	}
	return ""
}

// partial is the error that something is missing; nil where nothing is.
func partial(missing []string, clusters int) error {
	if len(missing) == 0 {
		return nil
	}
	text := fmt.Sprintf("the answer is not complete: something is missing of %d of %d clusters", len(missing), clusters)
	for _, one := range missing {
		text += "\n  " + printable(one)
	}
	return &exitError{code: exitPartial, err: errors.New(text)}
}

// printResources prints a table for each kind that there is anything of.
func (o *options) printResources(command *cobra.Command, list rest.ResourceList, everywhere bool) error {
	var tables []table
	all := table{empty: "No resources found."}
	for _, kind := range list.Kinds {
		one := o.resourceTable(kind, everywhere, len(list.Kinds) > 1)
		all.names = append(all.names, one.names...)
		if len(one.rows) > 0 {
			tables = append(tables, one)
		}
	}
	if len(tables) == 0 || o.output != "table" && o.output != "wide" {
		return o.print(command.OutOrStdout(), command.ErrOrStderr(), list, all)
	}
	for i, one := range tables {
		if i > 0 {
			fmt.Fprintln(command.OutOrStdout())
		}
		if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), list, one); err != nil {
			return err
		}
	}
	return nil
}

// resourceTable has the columns of kubectl get. Where there are several kinds, a name has
// its kind before it.
func (o *options) resourceTable(kind rest.ResourceKind, everywhere, several bool) table {
	t := table{head: []string{"CLUSTER"}}
	if everywhere {
		t.head = append(t.head, "NAMESPACE")
	}
	var shown []int
	for i, column := range kind.Columns {
		if column.Priority == 0 || o.output == "wide" {
			shown, t.head = append(shown, i), append(t.head, strings.ToUpper(column.Name))
		}
	}
	t.wide = len(t.head)
	for _, item := range kind.Items {
		row := []string{item.Cluster}
		if everywhere {
			row = append(row, item.Namespace)
		}
		for _, i := range shown {
			row = append(row, cellOf(item, kind, i, several))
		}
		t.rows = append(t.rows, row)
		t.names = append(t.names, printable(strings.Trim(item.Cluster+"/"+item.Namespace, "/")+" "+kind.Singular+"/"+item.Name))
	}
	return t
}

func cellOf(item rest.ResourceItem, kind rest.ResourceKind, i int, several bool) string {
	if i >= len(item.Cells) || item.Cells[i] == nil {
		return "<none>"
	}
	text := fmt.Sprint(item.Cells[i])
	if number, ok := item.Cells[i].(float64); ok {
		text = strconv.FormatFloat(number, 'f', -1, 64)
	}
	if several && kind.Columns[i].Name == "Name" && text == item.Name {
		return kind.Singular + "/" + text
	}
	return text
}
