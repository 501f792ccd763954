package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
	"github.com/penstock-cd/penstock/server/problem"
)

// ListResourcesInput selects resources of many clusters.
type ListResourcesInput struct {
	SelectingClusters

	Kinds         []string `query:"kinds" required:"true" minItems:"1" maxItems:"16" doc:"Kinds, separated by commas, as kubectl takes them: pods,deploy,workflows.argoproj.io."`
	Clusters      []string `query:"clusters" maxItems:"500" doc:"Only these TargetClusters, separated by commas. Without it: all in which the caller has the right."`
	Namespaces    []string `query:"namespace" maxItems:"50" doc:"Only these namespaces, separated by commas. Without it: all in which the caller has the right."`
	LabelSelector string   `query:"labelSelector" maxLength:"1024" doc:"Only objects whose labels this selects."`
	Limit         int      `query:"limit" minimum:"1" maximum:"5000" default:"500" doc:"Most items in the answer."`
	Cursor        string   `query:"cursor" maxLength:"2048" doc:"Where the page begins: the next of the page before."`
	Fresh         bool     `query:"fresh" doc:"Wait for what is read anew, up to the deadline of 2 s, instead of showing what was read before."`
	Stream        bool     `query:"stream" doc:"Answer with a stream (text/event-stream) in which clusters arrive as they answer, without pages and without a deadline."`

	kinds   []fleet.Kind
	targets []resources.Target
}

func (in *ListResourcesInput) allow(ctx context.Context, gate gate) (err error) {
	if err := in.check(gate.Clusters.Kinds); err != nil {
		return err
	}
	selector, err := in.selector()
	if err != nil {
		return err
	}
	all, err := gate.Clusters.All(ctx, selector)
	if err != nil {
		return err
	}
	asked := in.Clusters
	if len(asked) == 0 {
		for i := range all {
			asked = append(asked, all[i].Name)
		}
	}
	seen, err := gate.sightOf(ctx, asked, in.Namespaces)
	if err != nil {
		return err
	}
	if err := seen.require(in.Clusters, in.Namespaces); err != nil {
		return err
	}
	return in.take(all, seen)
}

// check reads the parameters that name something.
func (in *ListResourcesInput) check(shown fleet.AllowList) error {
	for _, name := range in.Kinds {
		kind, err := shown.Find(name)
		if err != nil {
			return problem.New(http.StatusBadRequest, err.Error())
		}
		if !slices.Contains(in.kinds, kind) {
			in.kinds = append(in.kinds, kind)
		}
	}
	for _, namespace := range in.Namespaces {
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			return problem.New(http.StatusBadRequest, fmt.Sprintf("namespace %q is not the name of a namespace", namespace))
		}
	}
	in.Clusters = slices.Compact(slices.Sorted(slices.Values(in.Clusters)))
	in.Namespaces = slices.Compact(slices.Sorted(slices.Values(in.Namespaces)))
	return nil
}

// take makes the targets: the clusters that were selected and are seen.
func (in *ListResourcesInput) take(all []v1alpha1.TargetCluster, seen sight) error {
	missing := slices.Clone(in.Clusters)
	for i := range all {
		name := all[i].Name
		if len(in.Clusters) > 0 && !slices.Contains(in.Clusters, name) || len(seen.of[name]) == 0 {
			continue
		}
		missing = slices.DeleteFunc(missing, func(one string) bool { return one == name })
		in.targets = append(in.targets, resources.Target{Target: fleet.TargetOf(&all[i]), Namespaces: seen.namespaces(name)})
	}
	if len(missing) > 0 {
		return problem.New(http.StatusNotFound, fmt.Sprintf("there is no TargetCluster %q%s: GET /api/v1/clusters lists them", missing[0], map[bool]string{true: " that clusterSelector selects"}[in.ClusterSelector != ""]))
	}
	return nil
}

func listResources(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-resources", path: "/api/v1/clusters/resources", summary: "List resources of many clusters",
		description: "Kinds of resources over all clusters in one answer, in the columns that `kubectl get` prints, within 2 s. What a cluster does not answer by then is missing, " +
			"and named. Needs `list` on `targetclusters/resources`, by the cluster's name and the namespace, or for all.",
	}, func(ctx context.Context, b *Backend, in *ListResourcesInput) (*rest.ResourceList, error) {
		answer, err := b.Clusters.Resources.List(ctx, in.query())
		if err != nil {
			return nil, err
		}
		return resourceList(in.kinds, answer), nil
	})
}

func (in *ListResourcesInput) query() resources.Query {
	return resources.Query{
		Kinds: in.kinds, Targets: in.targets, LabelSelector: in.LabelSelector, Fresh: in.Fresh, Limit: in.Limit, Continue: in.Cursor,
		Asked: fmt.Sprintf("%q/%q/%q", in.Clusters, in.ClusterSelector, in.Namespaces),
	}
}

func (in *ListResourcesInput) wantsParts() bool { return in.Stream }

// parts sends what each cluster answers of each kind, as it comes, and then the end.
func (in *ListResourcesInput) parts(ctx context.Context, b *Backend, send func(event string, data any) error) error {
	kinds := map[string]fleet.Kind{}
	for _, kind := range in.kinds {
		kinds[kind.String()] = kind
	}
	missing := map[[3]string]bool{}
	err := b.Clusters.Resources.Stream(ctx, in.query(), func(part resources.Part) error {
		missing[[3]string{part.Kind.Kind, part.Cluster.Name, part.Namespace}] = !part.IsComplete()
		return send("part", rest.ResourcePart{
			Namespace: part.Namespace, Kind: resourceKind(kinds[part.Kind.Kind], part.Kind), Cluster: resourceCluster(part.Cluster),
		})
	})
	if err != nil {
		return err
	}
	end := rest.ResourceEnd{Complete: true}
	for _, lacks := range missing {
		end.Complete = end.Complete && !lacks
	}
	return send("end", end)
}

func resourceList(kinds []fleet.Kind, answer resources.Answer) *rest.ResourceList {
	list := &rest.ResourceList{
		Page: rest.Page{Next: answer.Continue}, Complete: answer.Complete,
		Kinds: make([]rest.ResourceKind, len(answer.Kinds)), Clusters: make([]rest.ResourceCluster, len(answer.Clusters)),
	}
	for i, cluster := range answer.Clusters {
		list.Clusters[i] = resourceCluster(cluster)
	}
	for i, kind := range answer.Kinds {
		list.Kinds[i] = resourceKind(kinds[i], kind)
	}
	return list
}

func resourceCluster(cluster resources.Cluster) rest.ResourceCluster {
	return rest.ResourceCluster{
		Name: cluster.Name, State: string(cluster.State), AgeSeconds: cluster.AgeSeconds, Count: cluster.Count, Truncated: cluster.Truncated, Error: cluster.Error,
	}
}

func resourceKind(of fleet.Kind, kind resources.Kind) rest.ResourceKind {
	told := rest.ResourceKind{
		Kind: kind.Kind, Singular: of.Singular(), Columns: make([]rest.ResourceColumn, len(kind.Columns)), Items: make([]rest.ResourceItem, len(kind.Items)),
	}
	for i, column := range kind.Columns {
		told.Columns[i] = rest.ResourceColumn(column)
	}
	for i, item := range kind.Items {
		told.Items[i] = rest.ResourceItem(item)
	}
	return told
}
