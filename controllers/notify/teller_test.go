package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

// tellerOf tells of runs that failed, each by itself, in a channel with this spec.
func tellerOf(t *testing.T, n *Notifier, spec v1alpha1.NotificationChannelSpec) *teller {
	t.Helper()
	policy, err := n.expressions.Policy(&v1alpha1.NotificationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"},
		Spec: v1alpha1.NotificationPolicySpec{
			Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Group: v1alpha1.NotificationGroup{By: v1alpha1.GroupByNone}, Channels: []string{"c"},
		},
	})
	require.NoError(t, err)
	targets := map[string][]policyTargets{"team": {{policy: policy, targets: []route.Target{route.NewTarget(policy.NotificationPolicy, "c", spec)}}}}
	return &teller{targets: targets, labels: func(route.Item) labels.Set { return nil }}
}

// failures are of so many pipelines.
func failures(pipelines int) store.Told {
	told := store.Told{Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	for i := range pipelines {
		told.Items = append(told.Items, route.Item{Type: v1alpha1.EventRunFailed, Namespace: "team", Pipeline: fmt.Sprintf("p-%d", i), BuildUID: "u"})
	}
	return told
}

func TestWhatComesBeyondTheRateOfAChannelIsOneDigest(t *testing.T) {
	t.Parallel()
	n, channel := newNotifier(t, 4), types.NamespacedName{Namespace: "team", Name: "c"}
	for sentence, test := range map[string]struct {
		spec                  v1alpha1.NotificationChannelSpec
		begun, single, digest int
	}{
		"all within the rate":                    {v1alpha1.NotificationChannelSpec{RateLimit: &v1alpha1.ChannelRateLimit{PerMinute: 20}}, 0, 20, 0},
		"more than the rate":                     {v1alpha1.NotificationChannelSpec{RateLimit: &v1alpha1.ChannelRateLimit{PerMinute: 5}}, 0, 5, 15},
		"the rate is used up by what came":       {v1alpha1.NotificationChannelSpec{RateLimit: &v1alpha1.ChannelRateLimit{PerMinute: 5}}, 4, 1, 19},
		"statuses of commits are no messages":    {v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelCommitStatus, RateLimit: &v1alpha1.ChannelRateLimit{PerMinute: 5}}, 9, 20, 0},
		"the default of a channel that may come": {v1alpha1.NotificationChannelSpec{}, 25, 5, 15},
	} {
		told, teller := failures(20), tellerOf(t, n, test.spec)
		require.Len(t, teller.Groups(told), 21, "20 groups, and the digest's: %s", sentence)
		single, digest := 0, 0
		for _, row := range teller.Fold(told, map[route.Key]*route.Notification{}, map[types.NamespacedName]int{channel: test.begun}) {
			if row.Type == route.TypeStorm {
				digest += int(row.Events)
			} else {
				single++
			}
		}
		require.Equal(t, []int{test.single, test.digest}, []int{single, digest}, sentence)
	}
}

func TestAPolicyTellsOfItsOwnNamespace(t *testing.T) {
	t.Parallel()
	n := newNotifier(t, 4)
	teller := tellerOf(t, n, v1alpha1.NotificationChannelSpec{})
	other := failures(1)
	other.Items[0].Namespace = "another"
	require.Empty(t, teller.Groups(other))
	cluster := store.Told{Items: []route.Item{{Type: v1alpha1.EventClusterUnreachable, Cluster: "edge"}}}
	require.Empty(t, teller.Groups(cluster), "of clusters only policies in Penstock's own namespace")
}
