package remote

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
)

func TestWhyALaneIsShut(t *testing.T) {
	t.Parallel()
	changed := store.ClusterLane{Cluster: "eu", Reason: v1alpha1.ReasonClusterChanged, Message: "another cluster answers"}
	for what, c := range map[string]struct {
		err     error
		reason  v1alpha1.Reason
		message string
	}{
		"no TargetCluster has the name":           {fmt.Errorf("TargetCluster eu: %w", fleet.ErrNoMember), v1alpha1.ReasonClusterUnknown, "there is no TargetCluster eu that can be asked"},
		"the cluster does not answer":             {&fleet.Failure{Class: fleet.Timeout, Message: "no answer in 4s"}, v1alpha1.ReasonTimeout, "no answer in 4s"},
		"another cluster answers":                 {&shutError{changed}, v1alpha1.ReasonClusterChanged, "another cluster answers"},
		"the database does not answer":            {errors.New("open lane: connection refused"), v1alpha1.ReasonNotReady, "connection refused"},
		"the loops have ended without any reason": {nil, v1alpha1.ReasonTimeout, "its loops have ended"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			lane := laneOf("eu", c.err)
			require.Equal(t, "eu", lane.Cluster)
			require.Equal(t, c.reason, lane.Reason)
			require.Contains(t, lane.Message, c.message)
			require.False(t, lane.IsOpen())
		})
	}
}

func TestOnlyWhatPassesIsTriedAgainBeforeALaneIsShut(t *testing.T) {
	t.Parallel()
	require.False(t, isFinal(nil))
	require.False(t, isFinal(&fleet.Failure{Class: fleet.Timeout}))
	require.True(t, isFinal(&shutError{}))
	require.True(t, isFinal(fmt.Errorf("TargetCluster eu: %w", fleet.ErrNoMember)))
	require.True(t, isFinal(errAnew))
}

func TestALaneIsKnownOnceItsClusterWasAsked(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	require.Equal(t, [2]any{(*store.ClusterLane)(nil), false}, laneIn(s), "nothing was looked at yet")
	s.began = true
	require.Equal(t, [2]any{(*store.ClusterLane)(nil), true}, laneIn(s), "nothing is to be done there")
	s.asked["eu"] = time.Now()
	require.Equal(t, [2]any{(*store.ClusterLane)(nil), false}, laneIn(s), "it is to be asked")
	kept := newKeeper(s, "eu")
	s.keepers["eu"] = kept
	require.Equal(t, [2]any{(*store.ClusterLane)(nil), false}, laneIn(s), "it was not asked yet")
	open := &store.ClusterLane{Cluster: "eu"}
	kept.lane.Store(open)
	require.Equal(t, [2]any{open, true}, laneIn(s))
}

func laneIn(s *Sites) [2]any {
	lane, known := s.Lane("eu")
	return [2]any{lane, known}
}
