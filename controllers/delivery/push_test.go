package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

func TestARevisionTellsWhichPushesAreBuilt(t *testing.T) {
	t.Parallel()
	branch := func(name string) webhook.Push { return webhook.Push{Ref: name} }
	tag := func(name string) webhook.Push { return webhook.Push{Ref: name, IsTag: true} }
	for sentence, test := range map[string]struct {
		revision string
		push     webhook.Push
		want     bool
	}{
		"none builds every branch":                  {"", branch("dev"), true},
		"none builds no tag":                        {"", tag("v1"), false},
		"a branch builds that branch":               {"main", branch("main"), true},
		"a branch builds no other":                  {"main", branch("dev"), false},
		"a branch builds no tag of its name":        {"main", tag("main"), false},
		"a branch may be written in full":           {"refs/heads/main", branch("main"), true},
		"a branch in full builds no tag":            {"refs/heads/main", tag("main"), false},
		"a tag builds that tag":                     {"refs/tags/v1", tag("v1"), true},
		"a tag builds no branch of its name":        {"refs/tags/v1", branch("v1"), false},
		"an asterisk stands for any text":           {"refs/tags/v*", tag("v1.2"), true},
		"an asterisk stands for no slash":           {"release/*", branch("release/1/2"), false},
		"an asterisk is for branches too":           {"release/*", branch("release/1"), true},
		"a commit is no branch":                     {commit, branch("main"), false},
		"what is no pattern is a name":              {"a[", branch("a["), true},
		"what is no pattern is nothing else":        {"a[", branch("a"), false},
		"a branch may be named as a tag in full is": {"refs/heads/refs/tags/v1", branch("refs/tags/v1"), true},
		"case counts":                               {"Main", branch("main"), false},
	} {
		require.Equal(t, test.want, builds(test.revision, test.push), sentence)
	}
}

func TestAPushBuildsThePipelinesOfItsRepositoryAndBranch(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "ssh://git@github.com/team/shop", "main"), pipeline("docs", "https://github.com/team/shop.git", "docs"),
		pipeline("all", "git@GitHub.com:Team/Shop.git", ""), pipeline("other", "https://github.com/team/other", "main"), pipeline("none", "https://github.com/team/shop", "refs/tags/v*"))
	id := s.push("refs/heads/main")
	require.Regexp(t, `^Built\|Built all-[a-z2-7]{16}, shop-[a-z2-7]{16}$`, s.outcome(id))
	builds := s.builds()
	require.Len(t, builds, 2)
	for _, build := range builds {
		require.Equal(t, commit, build.Spec.Revision)
		require.Equal(t, "main", build.Spec.Ref)
		require.Equal(t, v1alpha1.CauseWebhook, build.Spec.Cause.Type)
		require.Equal(t, "receiver/hook", build.Spec.Cause.By)
	}
	require.Regexp(t, `^Built\|Built none-`, s.outcome(s.push("refs/tags/v1")))
	require.Equal(t, "Ignored|Ignored: branch deletion", s.outcome(s.send(`{"ref":"refs/heads/main","after":"0000000000000000000000000000000000000000","deleted":true,"head_commit":null,"repository":{"clone_url":"https://github.com/team/shop"}}`, "X-Github-Event", "push")))
	require.Equal(t, "Pinged|Pinged: the sender is heard", s.outcome(s.send(`{}`, "X-Github-Event", "ping")))
}

func TestAPushThatBuildsNothingSaysWhy(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("a", "https://github.com/team/shop", "main"), pipeline("b", "https://github.com/team/shop", "next"), pipeline("c", "https://github.com/team/shop", "paused"))
	paused := pipeline("c", "", "")
	paused.Namespace = s.namespace
	var stored v1alpha1.CiPipeline
	require.NoError(t, s.admin.Get(t.Context(), clientKey(paused), &stored))
	stored.Spec.Suspend = true
	require.NoError(t, s.admin.Update(t.Context(), &stored))
	require.Equal(t, "NoMatch|NoMatch: branch dev is not built by any of 3 pipelines", s.outcome(s.push("refs/heads/dev")))
	require.Equal(t, "NoMatch|NoMatch: tag main is not built by any of 3 pipelines", s.outcome(s.push("refs/tags/main")))
	require.Equal(t, "NoMatch|NoMatch: branch paused is built by pipelines that are suspended alone: c", s.outcome(s.push("refs/heads/paused")))
	require.Equal(t, "NoMatch|NoMatch: no CiPipeline here has the source github.com/team/web",
		s.outcome(s.send(`{"ref":"refs/heads/main","after":"`+commit+`","repository":{"clone_url":"https://github.com/team/web"}}`, "X-Github-Event", "push")))
	require.Equal(t, "Malformed|Malformed: the push names no repository", s.outcome(s.send(`{"ref":"refs/heads/main","after":"`+commit+`"}`, "X-Github-Event", "push")))
	require.Empty(t, s.builds())
}

func TestADeliveryThatIsWorkedOffTwiceBuildsOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", "main"))
	id := s.push("refs/heads/main")
	first := s.outcome(id)
	_, err := s.rows.Pool().Exec(t.Context(), "UPDATE webhook_delivery SET status = 'Working', finished_at = NULL, claimed_by = 'w', lease_until = now() + interval '1 hour'")
	require.NoError(t, err)
	require.Equal(t, first, s.outcome(id), "as after a crash between the build and its record")
	again, err := s.rows.AskRedelivery(t.Context(), s.namespace, id, "token")
	require.NoError(t, err)
	require.Equal(t, first, s.outcome(again), "as where a person asks for it")
	require.Len(t, s.builds(), 1)
	require.NotEqual(t, first, s.outcome(s.push("refs/heads/main")), "pushed back to an earlier commit")
	require.Len(t, s.builds(), 2)
}

func TestANameThatSomebodyElseHasTakenIsTold(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", "main"))
	id := s.push("refs/heads/main")
	s.outcome(id)
	build := s.builds()[0]
	build.Labels = nil
	require.NoError(t, s.admin.Update(t.Context(), &build))
	again, err := s.rows.AskRedelivery(t.Context(), s.namespace, id, "token")
	require.NoError(t, err)
	require.Contains(t, s.outcome(again), "Refused|Refused: shop: CiBuild "+build.Name+" exists, and was not made for this delivery")
}

func TestWhatTheAPIServerDoesNotTakeIsToldAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	require.Contains(t, s.outcome(s.push("refs/heads/{{inputs.parameters.x}}")), "ref must hold neither {{ nor }}")
}

func TestTargetsAndFiltersBoundWhatAReceiverActsUpon(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(func(spec *v1alpha1.ReceiverSpec) {
		spec.Targets = []v1alpha1.ReceiverTarget{{Kind: "CiPipeline", Name: "a"}}
		spec.Filter = `!body.ref.startsWith("refs/heads/bot/")`
	}), pipeline("a", "https://github.com/team/shop", ""), pipeline("b", "https://github.com/team/shop", ""))
	require.Regexp(t, `^Built\|Built a-[a-z2-7]{16}$`, s.outcome(s.push("refs/heads/main")))
	require.Equal(t, "Ignored|Ignored: the filter does not match", s.outcome(s.push("refs/heads/bot/1")))
}

func TestAReceiverThatIsGoneActsUponNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	id := s.push("refs/heads/main")
	gone := github()
	gone.Namespace = s.namespace
	require.NoError(t, s.admin.Delete(t.Context(), gone))
	require.Equal(t, "Ignored|Ignored: the Receiver hook was deleted", s.outcome(id))
	s.create(github())
	again, err := s.rows.AskRedelivery(t.Context(), s.namespace, id, "token")
	require.NoError(t, err)
	require.Equal(t, "Ignored|Ignored: the Receiver hook was deleted", s.outcome(again), "a new one of that name is another")
}
