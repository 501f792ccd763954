package trigger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// history are builds, the oldest first, each as "name phase": a phase in capitals has runs
// that go on, and one with a question mark is not planned.
func history(builds ...string) []v1alpha1.CiBuild {
	list := make([]v1alpha1.CiBuild, len(builds))
	for i, text := range builds {
		name, phase, _ := strings.Cut(text, " ")
		build := v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(i), 0))}}
		build.Status.Triggers = &v1alpha1.TriggerSummary{Total: 4, Succeeded: 1, Failed: 1, Cancelled: 1, Superseded: 1}
		if strings.HasSuffix(phase, "!") {
			build.Status.Triggers.Failed, build.Status.Triggers.Running = 0, 1
		}
		if !strings.HasSuffix(phase, "?") {
			build.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionTrue}}
		}
		build.Status.Phase = v1alpha1.BuildPhase(strings.TrimRight(phase, "!?"))
		list[i] = build
	}
	return list
}

func TestTheHistoryOfBuildsKeepsTheNewestOfEachEnd(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		builds []string
		keep   v1alpha1.BuildHistory
		want   []string
	}{
		"what is behind the newest goes, those that succeeded and those that did not apart": {
			builds: []string{"a Succeeded", "b Failed", "c Succeeded", "d Error", "e Succeeded", "f Cancelled"},
			keep:   v1alpha1.BuildHistory{Successful: 2, Failed: 1},
			want:   []string{"d", "b", "a"},
		},
		"a build that has not ended counts for nothing and stays": {
			builds: []string{"a Running", "b Pending", "c Succeeded"},
			keep:   v1alpha1.BuildHistory{Successful: 1},
		},
		"a build with a run that goes on stays": {
			builds: []string{"a Succeeded!", "b Succeeded", "c Succeeded"},
			keep:   v1alpha1.BuildHistory{Successful: 1},
			want:   []string{"b"},
		},
		"a build that is not planned stays": {
			builds: []string{"a Succeeded?", "b Succeeded"},
			keep:   v1alpha1.BuildHistory{Successful: 1},
		},
		"zero keeps none": {
			builds: []string{"a Succeeded", "b Failed"},
			want:   []string{"b", "a"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var names []string
			for _, build := range trigger.Surplus(history(c.builds...), c.keep) {
				names = append(names, build.Name)
			}
			require.Equal(t, c.want, names)
		})
	}
}
