package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

const home = "uid-of-home"

// openLane opens the lane of a cluster that answers with this UID.
func openLane(t *testing.T, s *store.Store, cluster, uid string) store.ClusterLane {
	t.Helper()
	lane, err := s.OpenLane(t.Context(), cluster, uid, home)
	require.NoError(t, err)
	return lane
}

func TestALaneIsOfTheClusterThatAnsweredFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.True(t, openLane(t, s, "eu", "uid-1").IsOpen())
	require.True(t, openLane(t, s, "eu", "uid-1").IsOpen(), "it may be opened again")

	other := openLane(t, s, "eu", "uid-2")
	require.Equal(t, v1alpha1.ReasonClusterChanged, other.Reason)
	require.Equal(t, "uid-1", other.UID)
	require.Contains(t, other.Message, "kubectl penstock clusters confirm eu")
	require.True(t, openLane(t, s, "eu", "uid-1").IsOpen(), "the first is back")
}

func TestOneClusterHasOneLaneAndHomeHasNone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.Equal(t, v1alpha1.ReasonClusterIsHome, openLane(t, s, "here", home).Reason)
	require.True(t, openLane(t, s, "eu", "uid-1").IsOpen())
	require.True(t, openLane(t, s, "renamed", "uid-1").IsOpen(), "eu has no tasks: it is forgotten")
	lanes, err := s.Lanes(t.Context())
	require.NoError(t, err)
	require.Len(t, lanes, 2)
	require.Equal(t, "renamed", lanes[1].Cluster)
}

// planIn plans a build whose run is in a cluster, and returns what sees that cluster.
func planIn(t *testing.T, s *store.Store, cluster, uid string) *store.Store {
	t.Helper()
	_, err := s.Plan(t.Context(), planOf(t, given.Build("app-1"), given.Artifacts(1), given.FamilyOf(given.CdPipeline("there", given.RunsIn(cluster)))))
	require.NoError(t, err)
	return s.In(cluster, uid)
}

func laneOf(cluster string) store.Lane { return store.Lane{Kind: store.KindCd, Cluster: cluster} }

func TestATaskIsClaimedInItsClusterAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	there := planIn(t, s, "eu", "uid-1")
	claims, err := s.Claim(t.Context(), laneOf(""), "w", 10, time.Minute)
	require.NoError(t, err)
	require.Empty(t, claims)
	busy, err := s.BusyClusters(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.BusyCluster{{Cluster: "eu", Namespace: given.Namespace}}, busy)
	claims, err = there.Claim(t.Context(), laneOf("eu"), "w", 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.Equal(t, "eu", claims[0].Cluster)
	require.Equal(t, "eu", claims[0].Inputs.Cluster)
}

func TestATaskWhoseWorkflowMayBeInAnotherClusterOfTheNameIsNeverTriggeredAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	openLane(t, s, "eu", "uid-1")
	there := planIn(t, s, "eu", "uid-1")
	claims, err := there.Claim(t.Context(), laneOf("eu"), "w", 10, time.Minute)
	require.NoError(t, err)
	_, err = there.Complete(t.Context(), "w", []store.Completion{{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusPending}})
	require.NoError(t, err)

	other := s.In("eu", "uid-2")
	claims, err = other.Claim(t.Context(), laneOf("eu"), "w", 10, time.Minute)
	require.NoError(t, err)
	require.Empty(t, claims, "an attempt in the first cluster may have made its Workflow")
	require.Equal(t, v1alpha1.ReasonClusterChanged, openLane(t, s, "eu", "uid-2").Reason)

	answer, err := s.AcceptCluster(t.Context(), asks("confirm", v1alpha1.ActionResume), "eu")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase)
	require.True(t, openLane(t, s, "eu", "uid-2").IsOpen())
	ended, err := other.EndStranded(t.Context())
	require.NoError(t, err)
	require.Len(t, ended, 1)
	require.Equal(t, "Error", ended[0].Status)
	ended, err = other.EndStranded(t.Context())
	require.NoError(t, err)
	require.Empty(t, ended)
}

func TestAnotherNameOfAClusterTakesItsTasksOnceAPersonSaysSo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	openLane(t, s, "eu", "uid-1")
	planIn(t, s, "eu", "uid-1")
	require.Equal(t, v1alpha1.ReasonClusterTaken, openLane(t, s, "renamed", "uid-1").Reason)
	_, err := s.AcceptCluster(t.Context(), asks("confirm", v1alpha1.ActionResume), "renamed")
	require.NoError(t, err)
	require.True(t, openLane(t, s, "renamed", "uid-1").IsOpen())
	claims, err := s.In("renamed", "uid-1").Claim(t.Context(), laneOf("renamed"), "w", 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.Equal(t, "renamed", claims[0].Inputs.Cluster)
}

func TestThereIsNothingToConfirmOfAnOpenLane(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	openLane(t, s, "eu", "uid-1")
	answer, err := s.AcceptCluster(t.Context(), asks("confirm", v1alpha1.ActionResume), "eu")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestRefused, answer.Phase)
}

func TestAShutLaneKeepsSinceWhenItIs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.NoError(t, s.ShutLane(t.Context(), store.ClusterLane{Cluster: "eu", Reason: v1alpha1.ReasonTimeout, Message: "no answer"}))
	first, err := s.Lanes(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.ShutLane(t.Context(), store.ClusterLane{Cluster: "eu", Reason: v1alpha1.ReasonTimeout, Message: "still no answer"}))
	second, err := s.Lanes(t.Context())
	require.NoError(t, err)
	require.Equal(t, first[0].Since, second[0].Since)
	require.Equal(t, "still no answer", second[0].Message)
	require.True(t, openLane(t, s, "eu", "uid-1").IsOpen(), "a lane that was shut before it ever opened")
}

func TestWhatHasBegunInALostClusterIsGivenUpOnceALaneIsShut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	openLane(t, s, "eu", "uid-1")
	there := planIn(t, s, "eu", "uid-1")
	claims, err := there.Claim(t.Context(), laneOf("eu"), "w", 10, time.Minute)
	require.NoError(t, err)
	_, err = there.Complete(t.Context(), "w", []store.Completion{{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusSubmitted, WorkflowUID: "w-1"}})
	require.NoError(t, err)
	answer, err := s.GiveUpCluster(t.Context(), asks("too-early", v1alpha1.ActionCancel), "eu")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestRefused, answer.Phase)

	require.NoError(t, s.ShutLane(t.Context(), store.ClusterLane{Cluster: "eu", Reason: v1alpha1.ReasonTimeout, Message: "no answer"}))
	answer, err = s.GiveUpCluster(t.Context(), asks("lost", v1alpha1.ActionCancel), "eu")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RequestDone, answer.Phase)
	require.Equal(t, []string{"Error ClusterChanged ann has given up TargetCluster eu: its Workflow may go on there: it is late"},
		table(t, s, "SELECT status, reason, message FROM task"))
}

func TestATaskThatIsHeldAfterItsClaimHasNoWorkflowAnywhere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	openLane(t, s, "eu", "uid-1")
	there := planIn(t, s, "eu", "uid-1")
	claims, err := there.Claim(t.Context(), laneOf("eu"), "w", 10, time.Minute)
	require.NoError(t, err)
	_, err = there.Complete(t.Context(), "w", []store.Completion{{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusHeld, Reason: v1alpha1.ReasonTemplate}})
	require.NoError(t, err)
	openLane(t, s, "eu", "uid-2")
	_, err = s.AcceptCluster(t.Context(), asks("confirm", v1alpha1.ActionResume), "eu")
	require.NoError(t, err)
	ended, err := s.In("eu", "uid-2").EndStranded(t.Context())
	require.NoError(t, err)
	require.Empty(t, ended, "it may be triggered in the other cluster")
}
