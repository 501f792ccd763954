package cluster

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// lanes is what a test says of the lane of every cluster.
type lanes struct{ current atomic.Pointer[lanesNow] }

type lanesNow struct {
	lane  *store.ClusterLane
	known bool
}

func (l *lanes) say(lane *store.ClusterLane, known bool) { l.current.Store(&lanesNow{lane, known}) }

func (l *lanes) get(string) (*store.ClusterLane, bool) {
	now := l.current.Load()
	return now.lane, now.known
}

func (s *scene) lane(short string) *metav1.Condition {
	s.t.Helper()
	return meta.FindStatusCondition(s.status(short).Conditions, v1alpha1.ConditionLaneOpen)
}

// laneBecomes waits until a TargetCluster tells this of its lane; empty stands for nothing.
func (s *scene) laneBecomes(short, want string) {
	s.t.Helper()
	var got string
	require.Eventually(s.t, func() bool {
		got = ""
		if condition := s.lane(short); condition != nil {
			got = fmt.Sprint(condition.Status, " ", condition.Reason, " ", condition.Message)
		}
		return got == want
	}, patience, 20*time.Millisecond, "%q", &got)
}

func TestATargetClusterTellsWhyNothingIsTriggeredThere(t *testing.T) {
	t.Parallel()
	said := &lanes{}
	said.say(nil, true)
	s := newScene(t, func(config *Config) { config.Lane = said.get })
	s.add("home", given.InCluster)
	s.becomes("home", "Healthy/Healthy")
	require.Nil(t, s.lane("home"), "nothing is to be done there")

	said.say(&store.ClusterLane{}, true)
	s.laneBecomes("home", "True LaneOpen Workflows of runs and builds are created in the cluster")
	since := time.Now().Add(-time.Minute).Truncate(time.Second)
	shut := &store.ClusterLane{Reason: v1alpha1.ReasonClusterChanged, Message: "another cluster answers", Since: since}
	said.say(shut, true)
	s.laneBecomes("home", "False ClusterChanged another cluster answers")
	require.True(t, since.Equal(s.lane("home").LastTransitionTime.Time))
	require.Equal(t, v1alpha1.ClusterHealthy, s.status("home").Phase, "it answers")
	require.Equal(t, "Normal Healthy Healthy: the cluster answers", <-s.events.Events)
	require.Equal(t, "Warning LaneShut nothing is triggered in the cluster: ClusterChanged: another cluster answers", <-s.events.Events)

	asks := *shut
	asks.Message = "another cluster answers (UID b instead of a)"
	said.say(&asks, true)
	s.laneBecomes("home", "False ClusterChanged "+asks.Message)
	said.say(nil, true)
	s.laneBecomes("home", "")
}

func TestALaneThatIsNotKnownYetIsToldAsBefore(t *testing.T) {
	t.Parallel()
	said := &lanes{}
	said.say(&store.ClusterLane{Reason: v1alpha1.ReasonClusterTaken, Message: "eu-2 is the same cluster"}, true)
	s := newScene(t, func(config *Config) { config.Lane = said.get })
	s.add("home", given.InCluster)
	s.laneBecomes("home", "False ClusterTaken eu-2 is the same cluster")
	said.say(nil, false) // as in a replica that has just become the leader
	object := s.object("home")
	object.Spec.Suspend = true
	require.NoError(t, s.cluster.Update(t.Context(), object))
	s.becomes("home", "Unknown/Suspended")
	require.NotNil(t, s.lane("home"))
}

func TestTheNewsOfALane(t *testing.T) {
	t.Parallel()
	status := func(lane *store.ClusterLane) (status v1alpha1.TargetClusterStatus) {
		tellLane(&status, 1, lane)
		return status
	}
	open, none := status(&store.ClusterLane{}), status(nil)
	timeout := status(&store.ClusterLane{Reason: v1alpha1.ReasonTimeout, Message: "no answer in 4s"})
	for sentence, tc := range map[string]struct {
		before, after v1alpha1.TargetClusterStatus
		note          string
	}{
		"a lane that is used for the first time is no news": {none, open, ""},
		"a lane that is used no more is no news":            {open, none, ""},
		"one that shuts":                                    {open, timeout, "nothing is triggered in the cluster: Timeout: no answer in 4s"},
		"one that is shut from the first":                   {none, timeout, "nothing is triggered in the cluster: Timeout: no answer in 4s"},
		"one that opens again":                              {timeout, open, "triggers go on in the cluster"},
		"another message of the same error is no news":      {timeout, status(&store.ClusterLane{Reason: v1alpha1.ReasonTimeout, Message: "no answer in 5s"}), ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, _, note, ok := laneNews(tc.before, tc.after)
			require.Equal(t, tc.note != "", ok)
			if ok {
				require.Equal(t, tc.note, note)
			}
		})
	}
}
