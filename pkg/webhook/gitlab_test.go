package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const gitlabProject = `"project":{"git_http_url":"https://git.example.com/Team/Shop.git","git_ssh_url":"git@git.example.com:Team/Shop.git","web_url":"https://git.example.com/Team/Shop"}`

func TestGitLabTellsOfBranchesAndTags(t *testing.T) {
	t.Parallel()
	push := parse(t, v1alpha1.ReceiverGitLab, `{"object_kind":"push","ref":"refs/heads/main","after":"`+commit+`","checkout_sha":"`+commit+`",`+gitlabProject+`}`, "X-Gitlab-Event", "Push Hook")
	require.Equal(t, webhook.Pushed, push.Kind)
	require.Equal(t, []string{"git.example.com/Team/Shop"}, names(push.Push.Repositories))
	require.True(t, push.Push.Repositories[0].AnyCase)
	require.Equal(t, "git.example.com/team/shop", push.Order)

	tag := parse(t, v1alpha1.ReceiverGitLab, `{"object_kind":"tag_push","ref":"refs/tags/v1","after":"ffffffffffffffffffffffffffffffffffffffff","checkout_sha":"`+commit+`",`+gitlabProject+`}`, "X-Gitlab-Event", "Tag Push Hook")
	require.True(t, tag.Push.IsTag)
	require.Equal(t, commit, tag.Push.Commit, "the commit, not the annotated tag")

	gone := parse(t, v1alpha1.ReceiverGitLab, `{"object_kind":"push","ref":"refs/heads/main","after":"`+nothing+`","checkout_sha":null,`+gitlabProject+`}`, "X-Gitlab-Event", "Push Hook")
	require.Equal(t, "branch deletion", gone.Why)

	system := parse(t, v1alpha1.ReceiverGitLab, `{"object_kind":"push","ref":"refs/heads/main","after":"`+commit+`",`+gitlabProject+`}`, "X-Gitlab-Event", "System Hook")
	require.Equal(t, webhook.Pushed, system.Kind)
}

func gitlabPipeline(status, variables string) string {
	return `{"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","sha":"` + commit + `","status":"` + status + `","variables":[` + variables + `]},` + gitlabProject + `}`
}

func TestAGitLabPipelineReportsTheBuildThatItsVariableNames(t *testing.T) {
	t.Parallel()
	named := `{"key":"OTHER","value":"x"},{"key":"PENSTOCK_BUILD","value":"shop-1"}`
	for status, phase := range map[string]v1alpha1.BuildPhase{
		"created": v1alpha1.BuildPending, "pending": v1alpha1.BuildPending, "running": v1alpha1.BuildRunning, "success": v1alpha1.BuildSucceeded,
		"failed": v1alpha1.BuildFailed, "canceled": v1alpha1.BuildCancelled, "skipped": v1alpha1.BuildCancelled,
	} {
		event := parse(t, v1alpha1.ReceiverGitLab, gitlabPipeline(status, named), "X-Gitlab-Event", "Pipeline Hook")
		require.Equal(t, webhook.BuildReported, event.Kind)
		require.Equal(t, "shop-1", event.Report.Build)
		require.Equal(t, phase, event.Report.Phase)
		require.Equal(t, commit, event.Report.Revision)
	}
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverGitLab, gitlabPipeline("manual", named), "X-Gitlab-Event", "Pipeline Hook").Kind)
	require.Contains(t, parse(t, v1alpha1.ReceiverGitLab, gitlabPipeline("success", ""), "X-Gitlab-Event", "Pipeline Hook").Why, "PENSTOCK_BUILD")
}

func TestADeliveryOfGitLabHasTheIDThatStaysWhenItIsTriedAgain(t *testing.T) {
	t.Parallel()
	body := `{"object_kind":"issue"}`
	require.Equal(t, "one", parse(t, v1alpha1.ReceiverGitLab, body, "X-Gitlab-Event", "System Hook", "Idempotency-Key", "one", "X-Gitlab-Event-UUID", "all").ID)
	require.Equal(t, "one", parse(t, v1alpha1.ReceiverGitLab, body, "X-Gitlab-Event", "System Hook", "webhook-id", "one").ID)
	first := parse(t, v1alpha1.ReceiverGitLab, body, "X-Gitlab-Event", "System Hook", "X-Gitlab-Event-UUID", "all").ID
	other := parse(t, v1alpha1.ReceiverGitLab, body+" ", "X-Gitlab-Event", "System Hook", "X-Gitlab-Event-UUID", "all").ID
	require.NotEqual(t, first, other, "hooks that one event set off are different deliveries")
	long := parse(t, v1alpha1.ReceiverGitLab, body, "X-Gitlab-Event", "System Hook", "Idempotency-Key", strings.Repeat("a", 10000)).ID
	require.Len(t, long, len(digest))
}

func TestTheHeaderOfGitLabAndTheBodyMustAgree(t *testing.T) {
	t.Parallel()
	_, err := senderOf(t, v1alpha1.ReceiverGitLab).Parse(request(gitlabPipeline("success", ""), "X-Gitlab-Event", "Push Hook"))
	require.ErrorIs(t, err, webhook.ErrMalformed)
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverGitLab, `{`, "X-Gitlab-Event", "Issue Hook").Kind)
}
