package store

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ClusterLane is what is known of the lanes of one cluster, but for Penstock's own.
type ClusterLane struct {
	// Cluster is the TargetCluster's name.
	Cluster string
	// UID is that of the cluster which the lane's Workflows are in; empty before it has answered
	// for the first time. SeenUID is that of the cluster which answered last.
	UID, SeenUID string
	// Reason is why nothing is triggered there; empty while the lane is open.
	Reason  v1alpha1.Reason
	Message string
	// Since is when the reason began to hold, by the database's clock.
	Since time.Time
}

// IsOpen tells whether Workflows are created there.
func (l ClusterLane) IsOpen() bool { return l.Reason == "" }

// Text says that nothing is triggered there, since when and why.
func (l ClusterLane) Text() string {
	return fmt.Sprintf("nothing is triggered in TargetCluster %s since %s: %s: %s", l.Cluster, l.Since.UTC().Format(time.RFC3339), l.Reason, l.Message)
}

// Lanes returns the lanes of all clusters that had one, in the order of their names.
func (s *Store) Lanes(ctx context.Context) ([]ClusterLane, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list lanes of clusters: %w", err)
	}
	return convert(rows, laneOf), nil
}

// LaneOf returns the lane of a cluster; false where it has none.
func (s *Store) LaneOf(ctx context.Context, cluster string) (ClusterLane, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.Lane(ctx, cluster)
	if err != nil || len(rows) == 0 {
		return ClusterLane{}, false, err
	}
	return laneOf(rows[0]), true, nil
}

func laneOf(row dbsqlc.ClusterLane) ClusterLane {
	return ClusterLane{
		Cluster: row.Cluster, UID: row.ClusterUid, SeenUID: row.SeenUid,
		Reason: v1alpha1.Reason(row.Reason), Message: row.Message, Since: row.Since.Time,
	}
}

// ShutLane notes why nothing is triggered in a cluster.
func (s *Store) ShutLane(ctx context.Context, lane ClusterLane) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.ShutLane(ctx, dbsqlc.ShutLaneParams{Cluster: lane.Cluster, SeenUid: lane.SeenUID, Reason: string(lane.Reason), Message: clean(lane.Message)}); err != nil {
		return fmt.Errorf("shut lane of cluster %s: %w", lane.Cluster, err)
	}
	return nil
}

// OpenLane opens the lane of a cluster that answers with this UID, and returns it. It stays
// shut where the lane is of another cluster, where another lane is of this one, or where the
// UID is Penstock's own cluster's (home): one cluster has one lane, or two would follow the same
// Workflows.
func (s *Store) OpenLane(ctx context.Context, cluster, uid, home string) (ClusterLane, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var lane ClusterLane
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		lanes, err := lockLanes(ctx, queries)
		if err != nil {
			return err
		}
		if err := dropUnused(ctx, queries, lanes, cluster, uid); err != nil {
			return err
		}
		lane = judgeLane(lanes, cluster, uid, home)
		return setLane(ctx, queries, lane)
	})
	if err != nil {
		return ClusterLane{}, fmt.Errorf("open lane of cluster %s: %w", cluster, err)
	}
	return lane, nil
}

func lockLanes(ctx context.Context, queries *dbsqlc.Queries) (map[string]ClusterLane, error) {
	if err := queries.LockLaneTable(ctx); err != nil {
		return nil, err
	}
	rows, err := queries.LockLanes(ctx)
	if err != nil {
		return nil, err
	}
	lanes := make(map[string]ClusterLane, len(rows))
	for _, row := range rows {
		lanes[row.Cluster] = laneOf(row)
	}
	return lanes, nil
}

// dropUnused forgets a lane of the same cluster that has no tasks any more, such as that of a
// TargetCluster that was deleted.
func dropUnused(ctx context.Context, queries *dbsqlc.Queries, lanes map[string]ClusterLane, cluster, uid string) error {
	for name, other := range lanes {
		if name == cluster || other.UID != uid {
			continue
		}
		isUsed, err := queries.HasUnended(ctx, name)
		if err != nil || isUsed {
			return err
		}
		delete(lanes, name)
		if err := queries.DropLane(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// judgeLane is a pure function: whether a lane opens for the cluster that answers, and else why
// not.
func judgeLane(lanes map[string]ClusterLane, cluster, uid, home string) ClusterLane {
	lane := lanes[cluster]
	lane.Cluster, lane.SeenUID, lane.Reason, lane.Message = cluster, uid, "", ""
	if uid == home {
		lane.Reason = v1alpha1.ReasonClusterIsHome
		lane.Message = "it is the cluster that Penstock runs in: leave clusterRef out of the pipelines"
		return lane
	}
	for name, other := range lanes {
		if name != cluster && other.UID == uid {
			lane.Reason = v1alpha1.ReasonClusterTaken
			lane.Message = fmt.Sprintf("TargetCluster %s is the same cluster and has unfinished runs: use that one, or give them to this one (kubectl penstock clusters confirm %s)", name, cluster)
			return lane
		}
	}
	if lane.UID != "" && lane.UID != uid {
		lane.Reason = v1alpha1.ReasonClusterChanged
		lane.Message = fmt.Sprintf("another cluster answers (UID %s instead of %s): correct the kubeconfig, or confirm the new one (kubectl penstock clusters confirm %s), which ends the runs that had begun in the old one",
			uid, lane.UID, cluster)
		return lane
	}
	lane.UID = uid
	return lane
}

func setLane(ctx context.Context, queries *dbsqlc.Queries, lane ClusterLane) error {
	return queries.SetLane(ctx, dbsqlc.SetLaneParams{
		Cluster: lane.Cluster, ClusterUid: lane.UID, SeenUid: lane.SeenUID, Reason: string(lane.Reason), Message: lane.Message,
	})
}

// AcceptCluster has the lane be of the cluster that answered last, because a request asks for it.
// Tasks whose Workflow may be in the one before are ended by EndStranded; those of another name
// of the same cluster become this lane's.
func (s *Store) AcceptCluster(ctx context.Context, request Request, cluster string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		lanes, err := lockLanes(ctx, queries)
		if err != nil {
			return Answer{}, fmt.Errorf("lock lanes: %w", err)
		}
		lane, known := lanes[cluster]
		if !known {
			return Answer{}, refuse("no pipeline was ever run in a TargetCluster %s: there is nothing to confirm, check the name (kubectl get targetclusters)", cluster)
		}
		if lane.Reason != v1alpha1.ReasonClusterChanged && lane.Reason != v1alpha1.ReasonClusterTaken {
			return Answer{}, refuse("TargetCluster %s: there is nothing to confirm, no other cluster answers under this name", cluster)
		}
		if err := takeOver(ctx, queries, lanes, lane); err != nil {
			return Answer{}, err
		}
		lane.UID, lane.Reason, lane.Message = lane.SeenUID, "", ""
		return Answer{
			Phase:   v1alpha1.RequestDone,
			Message: fmt.Sprintf("Workflows are created in the cluster that answers as TargetCluster %s now, with UID %s", cluster, lane.UID),
		}, setLane(ctx, queries, lane)
	})
}

// GiveUpCluster ends what has begun in a cluster whose lane is shut, because a request asks for it:
// nobody can tell any more what becomes of it, and its pipelines would wait for ever.
func (s *Store) GiveUpCluster(ctx context.Context, request Request, cluster string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		lanes, err := lockLanes(ctx, queries)
		if err != nil {
			return Answer{}, fmt.Errorf("lock lanes: %w", err)
		}
		switch lane, exists := lanes[cluster]; {
		case !exists:
			return Answer{}, refuse("no pipeline was ever run in a TargetCluster %s: there is nothing to give up, check the name (kubectl get targetclusters)", cluster)
		case lane.IsOpen():
			return Answer{}, refuse("TargetCluster %s answers: cancel its runs instead", cluster)
		case lane.Reason == v1alpha1.ReasonClusterIsHome:
			return Answer{}, refuse("TargetCluster %s: %s", cluster, lane.Message)
		}
		message := fmt.Sprintf("%s has given up TargetCluster %s: its Workflow may go on there", request.Actor, cluster)
		if request.Reason != "" {
			message += ": " + request.Reason
		}
		ended := 0
		for {
			rows, err := queries.EndStranded(ctx, dbsqlc.EndStrandedParams{Cluster: cluster, Most: strandedAtOnce, Message: clean(message)})
			if err != nil {
				return Answer{}, fmt.Errorf("end tasks of the cluster: %w", err)
			}
			if ended += len(rows); len(rows) < strandedAtOnce {
				break
			}
		}
		return Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("%d stages and builds that had begun in TargetCluster %s are ended; what waits there goes on waiting", ended, cluster)}, nil
	})
}

// takeOver gives a lane the tasks of other names of the same cluster.
func takeOver(ctx context.Context, queries *dbsqlc.Queries, lanes map[string]ClusterLane, lane ClusterLane) error {
	for name, other := range lanes {
		if name == lane.Cluster || other.UID != lane.SeenUID {
			continue
		}
		if _, err := queries.MoveTasks(ctx, dbsqlc.MoveTasksParams{OldCluster: name, Cluster: lane.Cluster}); err != nil {
			return fmt.Errorf("move tasks: %w", err)
		}
		if err := queries.DropLane(ctx, name); err != nil {
			return fmt.Errorf("drop lane: %w", err)
		}
	}
	return nil
}

// strandedAtOnce bounds the tasks that one statement ends or stops.
const strandedAtOnce = 1000

// EndStranded ends tasks whose Workflow may be in another cluster of this name, and returns
// those that it ended. Nothing can tell any more what becomes of them.
func (s *Store) EndStranded(ctx context.Context) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.EndStranded(ctx, dbsqlc.EndStrandedParams{
		Cluster: s.cluster, ClusterUid: s.clusterUID, Most: strandedAtOnce,
		Message: fmt.Sprintf("its Workflow may be in the cluster that was TargetCluster %s before: look there, then create a RunRequest with action Retry", s.cluster),
	})
	if err != nil {
		return nil, fmt.Errorf("end tasks of another cluster: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndStrandedRow) Moved { return Moved(row) }), nil
}

// StopDeleted has the Workflows stopped that are in this cluster and whose pipeline is gone,
// and returns how many.
func (s *Store) StopDeleted(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.StopDeleted(ctx, dbsqlc.StopDeletedParams{
		Cluster: s.cluster, Message: "its CdPipeline was deleted while it ran", Most: strandedAtOnce,
	})
	if err != nil {
		return 0, fmt.Errorf("stop workflows of deleted pipelines: %w", err)
	}
	return len(rows), nil
}

// BusyCluster is a namespace of a cluster where tasks wait for a slot, or have a Workflow that
// has not ended.
type BusyCluster struct{ Cluster, Namespace string }

// BusyClusters returns where there is something to do, but for Penstock's own cluster.
func (s *Store) BusyClusters(ctx context.Context) ([]BusyCluster, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.BusyClusters(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("list busy clusters: %w", err)
	}
	return convert(rows, func(row dbsqlc.BusyClustersRow) BusyCluster { return BusyCluster(row) }), nil
}

// WaitingIn returns the builds and pipelines of the first most stages that wait for a slot in
// a cluster.
func (s *Store) WaitingIn(ctx context.Context, cluster string, most int) (builds, pipelines []types.NamespacedName, err error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.WaitingInCluster(ctx, dbsqlc.WaitingInClusterParams{Cluster: cluster, Most: bounded(most)})
	if err != nil {
		return nil, nil, fmt.Errorf("list tasks that wait in a cluster: %w", err)
	}
	seen := map[types.NamespacedName]bool{}
	for _, row := range rows {
		pipelines = append(pipelines, types.NamespacedName{Namespace: row.Namespace, Name: row.Pipeline})
		if build := (types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}); !seen[build] {
			seen[build] = true
			builds = append(builds, build)
		}
	}
	return builds, pipelines, nil
}
