package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/rights"
)

// SelectingClusters is which TargetClusters are meant.
type SelectingClusters struct {
	ClusterSelector string `query:"clusterSelector" maxLength:"1024" doc:"Only clusters whose labels this selects, such as region=eu."`
}

func (in SelectingClusters) selector() (labels.Selector, error) {
	selector, err := labels.Parse(in.ClusterSelector)
	if err != nil {
		return nil, problem.New(http.StatusBadRequest, "clusterSelector can't be read: "+err.Error())
	}
	return selector, nil
}

// ListClustersInput selects TargetClusters.
type ListClustersInput struct {
	SelectingClusters
}

func (in *ListClustersInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx, rights.Need{Verb: "list", Resource: "targetclusters"})
}

func listClusters(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-clusters", path: "/api/v1/clusters", summary: "List the health of the TargetClusters",
		description: "The health of every TargetCluster, as it was probed. No cluster is contacted. Needs `list` on `targetclusters`.",
	}, func(ctx context.Context, b *Backend, in *ListClustersInput) (*rest.ClusterList, error) {
		selector, err := in.selector()
		if err != nil {
			return nil, err
		}
		all, err := b.Clusters.All(ctx, selector)
		if err != nil {
			return nil, err
		}
		list := &rest.ClusterList{Items: make([]rest.Cluster, len(all))}
		for i := range all {
			list.Items[i] = clusterOf(&all[i])
		}
		return list, nil
	})
}

func clusterOf(cluster *v1alpha1.TargetCluster) rest.Cluster {
	status := &cluster.Status
	return rest.Cluster{
		Name: cluster.Name, Labels: cluster.Labels, Phase: string(cmp.Or(status.Phase, v1alpha1.ClusterUnknown)), Reason: status.Reason,
		Version: status.Version, LatencyMillis: status.LatencyMillis, Since: timeOf(status.Since), CheckedAt: timeOf(status.CheckedAt), Message: status.Message,
		Lane: laneOf(status),
	}
}

func laneOf(status *v1alpha1.TargetClusterStatus) *rest.ClusterLane {
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionLaneOpen)
	if condition == nil {
		return nil
	}
	return &rest.ClusterLane{
		Open: condition.Status == metav1.ConditionTrue, Reason: condition.Reason, Message: condition.Message, Since: condition.LastTransitionTime.UTC(),
	}
}

func timeOf(at *metav1.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	utc := at.UTC()
	return &utc
}
