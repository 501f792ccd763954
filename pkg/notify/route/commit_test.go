package route

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
)

func TestACommitOfWhichARunFailedIsNoSuccess(t *testing.T) {
	t.Parallel()
	status := Notification{Key: Key{Group: "commit/b1/"}, Items: []Item{{Type: v1alpha1.EventBuildSucceeded}, {Type: v1alpha1.EventTriggersCompleted}}}
	build := &Build{Phase: string(v1alpha1.BuildSucceeded), Triggers: v1alpha1.TriggerSummary{Total: 2, Succeeded: 2}}
	require.Equal(t, notify.Success, status.Message(build).Level)
	build.Triggers.Succeeded, build.Triggers.Failed = 1, 1
	require.Equal(t, notify.Failure, status.Message(build).Level)
}
