package store

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

const (
	// lookAhead is how many tasks a claim looks at where namespaces have little room, so
	// that those which are set aside do not hide the others.
	lookAhead = 500
	// releasedAtOnce bounds the tasks that one statement puts back into the queue.
	releasedAtOnce = 1000
)

// Room is how many tasks of one namespace may be claimed, and why there are not more.
type Room struct {
	Tasks int
	Cause v1alpha1.Reason
}

// Rooms says how many tasks of which namespaces a claim may take. The zero value sets no
// bounds.
type Rooms struct {
	// Of are the namespaces with a bound of their own.
	Of map[string]Room
	// Share, where it is above 0, is the bound of all others, with the cause NamespaceShare.
	Share int
}

func (r Rooms) look(most int) int32 {
	if len(r.Of) == 0 && r.Share <= 0 {
		return int32(most) //nolint:gosec // a batch size
	}
	return int32(max(most, lookAhead)) //nolint:gosec // a batch size
}

func (r Rooms) otherwise() int32 {
	if r.Share <= 0 {
		return math.MaxInt32
	}
	return bounded(r.Share)
}

func bounded(tasks int) int32 { return int32(min(max(tasks, 0), math.MaxInt32)) }

// ClaimWithin is Claim where namespaces have room for a few tasks only, or for none. What
// it looks at and finds no room for is set aside, with the cause: it stays Pending, and
// ClaimDelayed alone takes it. It returns the namespaces where that happened, each with the
// cause.
func (s *Store) ClaimWithin(ctx context.Context, lane Lane, worker string, most int, lease time.Duration, rooms Rooms) ([]Claim, map[string]v1alpha1.Reason, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	params := dbsqlc.ClaimTasksParams{
		Kind: string(lane.Kind), Cluster: lane.Cluster, ClusterUid: s.clusterUID, Worker: worker, Namespaces: s.namespaces,
		Most: bounded(most), Look: rooms.look(most), Lease: interval(lease),
		Limited: []string{}, Rooms: []int32{}, Causes: []string{}, Room: rooms.otherwise(), Cause: string(v1alpha1.ReasonNamespaceShare),
	}
	for _, namespace := range slices.Sorted(maps.Keys(rooms.Of)) {
		room := rooms.Of[namespace]
		params.Limited, params.Rooms = append(params.Limited, namespace), append(params.Rooms, bounded(room.Tasks))
		params.Causes = append(params.Causes, string(room.Cause))
	}
	rows, err := s.queries.ClaimTasks(ctx, params)
	if err != nil {
		return nil, nil, fmt.Errorf("claim tasks: %w", err)
	}
	claims, aside := []Claim{}, map[string]v1alpha1.Reason{}
	for _, row := range rows {
		if row.DelayedBy != "" {
			aside[row.Namespace] = v1alpha1.Reason(row.DelayedBy)
			continue
		}
		claim, err := claimOf(row)
		if err != nil {
			return nil, nil, err
		}
		claims = append(claims, claim)
	}
	return claims, aside, s.addArtifacts(ctx, claims)
}

// ClaimDelayed takes tasks of the lane that were set aside, as Claim does, of each
// namespace up to as many as it says. Each is a Probe.
func (s *Store) ClaimDelayed(ctx context.Context, lane Lane, worker string, lease time.Duration, rooms map[string]int) ([]Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	params := dbsqlc.ClaimDelayedParams{
		Kind: string(lane.Kind), Cluster: lane.Cluster, ClusterUid: s.clusterUID, Worker: worker, Lease: interval(lease),
		OfObjects: []string{string(v1alpha1.ReasonPolicyDenied), string(v1alpha1.ReasonWebhookDenied)},
	}
	for _, namespace := range slices.Sorted(maps.Keys(rooms)) {
		params.Limited, params.Rooms = append(params.Limited, namespace), append(params.Rooms, bounded(rooms[namespace]))
	}
	rows, err := s.queries.ClaimDelayed(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("claim delayed tasks: %w", err)
	}
	claims := make([]Claim, len(rows))
	for i, row := range rows {
		if claims[i], err = claimOf(dbsqlc.ClaimTasksRow(row)); err != nil {
			return nil, err
		}
		claims[i].Probe = true
	}
	return claims, s.addArtifacts(ctx, claims)
}

// ReleaseDelayed puts tasks that were set aside in these namespaces back into the queue, and
// returns whether there may be more.
func (s *Store) ReleaseDelayed(ctx context.Context, lane Lane, namespaces []string) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	released, err := s.queries.ReleaseDelayed(ctx, dbsqlc.ReleaseDelayedParams{
		Kind: string(lane.Kind), Cluster: lane.Cluster, Released: namespaces, Most: releasedAtOnce,
	})
	if err != nil {
		return false, fmt.Errorf("release delayed tasks: %w", err)
	}
	return released == releasedAtOnce, nil
}

// DelayedNamespaces returns the namespaces of the lane of which tasks are set aside, each
// with the cause of the first of them.
func (s *Store) DelayedNamespaces(ctx context.Context, lane Lane) (map[string]v1alpha1.Reason, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.DelayedNamespaces(ctx, dbsqlc.DelayedNamespacesParams{
		Kind: string(lane.Kind), Cluster: lane.Cluster, Namespaces: s.namespaces,
	})
	if err != nil {
		return nil, fmt.Errorf("list delayed namespaces: %w", err)
	}
	delayed := make(map[string]v1alpha1.Reason, len(rows))
	for _, row := range rows {
		delayed[row.Namespace] = v1alpha1.Reason(row.DelayedBy)
	}
	return delayed, nil
}

// DelayedOwners returns the builds and pipelines of the first most stages that are set aside
// in a namespace.
func (s *Store) DelayedOwners(ctx context.Context, namespace string, most int) (builds, pipelines []types.NamespacedName, err error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.DelayedOwners(ctx, dbsqlc.DelayedOwnersParams{Namespace: namespace, Most: bounded(most)})
	if err != nil {
		return nil, nil, fmt.Errorf("list delayed builds: %w", err)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		pipelines = append(pipelines, types.NamespacedName{Namespace: namespace, Name: row.Pipeline})
		if !seen[row.BuildName] {
			seen[row.BuildName] = true
			builds = append(builds, types.NamespacedName{Namespace: namespace, Name: row.BuildName})
		}
	}
	return builds, pipelines, nil
}

// DelayedTasks counts the tasks that wait because Workflows were refused, or because their
// namespace has its share, by reason.
func (s *Store) DelayedTasks(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.DelayedTasks(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("count delayed tasks: %w", err)
	}
	counts := make(map[string]int64, len(rows))
	for _, row := range rows {
		counts[row.Reason] = row.Tasks
	}
	return counts, nil
}
