package route_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
)

func build(change func(*route.Build)) *route.Build {
	build := &route.Build{Phase: "Succeeded", Triggers: v1alpha1.TriggerSummary{Total: 100, Succeeded: 97, Failed: 3}, FailedPipelines: []string{"web-1", "web-2", "web-3"}}
	if change != nil {
		change(build)
	}
	return build
}

// group is what was told of items, all done.
func group(items ...route.Item) route.Notification {
	n := route.Notification{Key: target(nil).Key(items[0]), Type: items[len(items)-1].Type, Items: items, Events: int64(len(items)), IsComplete: true, Wanted: 2, CreatedAt: start, ChangedAt: start}
	return n
}

func TestWhatIsToldOfABuild(t *testing.T) {
	t.Parallel()
	failed := run(v1alpha1.EventRunFailed, "web-1")
	for want, test := range map[string]struct {
		n     route.Notification
		build *route.Build
		level notify.Level
	}{
		"shop (build shop-1): 97 of 100 deployed, 3 failed: web-1, web-2, web-3": {group(failed, completed), build(nil), notify.Failure},
		"big (build shop-1): 97 of 100 deployed, 3 failed: web-1, web-2, web-3": {group(func() route.Item {
			alone := failed // a pipeline without an application is one of its own
			alone.Application, alone.CiPipeline = alone.Pipeline, "big"
			return alone
		}()), build(nil), notify.Failure},
		"shop (build shop-1): 100 of 100 deployed": {group(completed), build(func(b *route.Build) {
			b.Triggers, b.FailedPipelines = v1alpha1.TriggerSummary{Total: 100, Succeeded: 100}, nil
		}), notify.Success},
		"shop (build shop-1): 0 of 100 deployed, 93 under way, 7 failed: a, b, c, d, e, …": {group(failed), build(func(b *route.Build) {
			b.Triggers, b.FailedPipelines = v1alpha1.TriggerSummary{Total: 100, Failed: 7}, strings.Fields("a b c d e f g")
		}), notify.Failure},
		"shop (build shop-1): 1 of 4 deployed, 1 cancelled, 1 superseded by newer builds, 1 held": {group(run(v1alpha1.EventRunHeld, "web")), build(func(b *route.Build) {
			b.Triggers, b.FailedPipelines = v1alpha1.TriggerSummary{Total: 4, Succeeded: 1, Cancelled: 1, Superseded: 1, Held: 1}, nil
		}), notify.Info},
		"shop (build shop-1): the build was cancelled": {group(route.Item{Type: v1alpha1.EventBuildFailed, Build: "shop-1", BuildUID: "u1", Application: "shop"}),
			&route.Build{Phase: "Cancelled"}, notify.Failure},
		"shop (build shop-1): the build succeeded": {func() route.Notification {
			n := group(route.Item{Type: v1alpha1.EventBuildSucceeded, Build: "shop-1", BuildUID: "u1", Application: "shop"})
			n.IsComplete = false
			return n
		}(), &route.Build{Phase: "Succeeded"}, notify.Success},
	} {
		message := test.n.Message(test.build)
		require.Equal(t, want, message.Title)
		require.Equal(t, test.level, message.Level, want)
		require.Equal(t, "shop-1", message.Subject.Build)
		require.Equal(t, []string{"kubectl penstock builds shop-1 -n team"}, message.Commands)
		require.Equal(t, 2, message.Version)
	}
}

func TestWhatIsToldOfOtherGroups(t *testing.T) {
	t.Parallel()
	other := run(v1alpha1.EventRunHeld, "api")
	other.Reason = "Person"
	down, well := cluster(v1alpha1.EventClusterUnreachable), cluster(v1alpha1.EventClusterRecovered)
	down.At, well.At = start, start.Add(90*time.Second)
	by := func(by v1alpha1.GroupBy, items ...route.Item) route.Notification {
		n := group(items...)
		n.Key = target(func(t *route.Target) { t.By = by }).Key(items[0])
		return n
	}
	failed := run(v1alpha1.EventRunFailed, "web")
	failed.Stage, failed.At = "DEPLOY", start
	storm := target(nil).Storm(nil, failed, start)
	for range 30 {
		storm = target(nil).Storm(&storm, failed, start)
	}
	status := by(v1alpha1.GroupByBuild, failed, other)
	status.Key = target(func(t *route.Target) { t.Type = v1alpha1.ChannelCommitStatus }).Key(failed)
	for want, n := range map[string]route.Notification{
		"web: run 1 of build shop-1 failed at stage DEPLOY: WorkflowFailed":            by(v1alpha1.GroupByNone, failed),
		"web: 3 runs failed since 12:00 UTC: WorkflowFailed":                           by(v1alpha1.GroupByNone, failed, failed, failed),
		"environment prod: 2 runs failed, 1 run waits":                                 by(v1alpha1.GroupByEnvironment, failed, failed, other),
		"cluster edge is reachable again, after 1m30s":                                 group(down, well),
		"too much to tell one by one: 31 events in a minute (20 runs failed, 11 more)": storm,
		"api: run 1 of build shop-1 waits: Person":                                     status,
		"Penstock: this is a test of the channel c":                                    {Key: route.Key{Namespace: "team", Channel: "c", Group: "test/1"}, Type: route.TypeTest, Items: []route.Item{{Type: route.TypeTest}}},
	} {
		require.Equal(t, want, n.Message(nil).Title)
	}
	n := group(down)
	n.IsComplete = false
	require.Equal(t, "cluster edge is not reachable: Timeout", n.Message(nil).Title)
	require.Equal(t, notify.Failure, n.Message(nil).Level)
	require.Equal(t, notify.Info, status.Message(nil).Level, "the last event counts")
}

func policy(change func(*v1alpha1.NotificationPolicySpec)) *v1alpha1.NotificationPolicy {
	policy := &v1alpha1.NotificationPolicy{Spec: v1alpha1.NotificationPolicySpec{Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Channels: []string{"c"}}}
	change(&policy.Spec)
	return policy
}

func TestAPolicyTellsWhatItSelects(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	item := run(v1alpha1.EventRunFailed, "web")
	for sentence, test := range map[string]struct {
		change func(*v1alpha1.NotificationPolicySpec)
		want   bool
	}{
		"everything that it tells":  {func(*v1alpha1.NotificationPolicySpec) {}, true},
		"not another event":         {func(s *v1alpha1.NotificationPolicySpec) { s.Events = []v1alpha1.NotificationEvent{"RunHeld"} }, false},
		"its application":           {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.Applications = []string{"shop"} }, true},
		"not another application":   {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.Applications = []string{"blog"} }, false},
		"not another environment":   {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.Environments = []string{"staging"} }, false},
		"not another pipeline":      {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.Pipelines = []string{"api"} }, false},
		"its labels":                {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.MatchLabels = map[string]string{"tier": "1"} }, true},
		"not other labels":          {func(s *v1alpha1.NotificationPolicySpec) { s.Selector.MatchLabels = map[string]string{"tier": "2"} }, false},
		"what the filter lets pass": {func(s *v1alpha1.NotificationPolicySpec) { s.Filter = "event.environment == 'prod' && event.run == 1" }, true},
		"not what it does not":      {func(s *v1alpha1.NotificationPolicySpec) { s.Filter = "event.reason != 'WorkflowFailed'" }, false},
	} {
		ready, err := expressions.Policy(policy(test.change))
		require.NoError(t, err)
		got, err := ready.Matches(item, map[string]string{"tier": "1"})
		require.NoError(t, err, sentence)
		require.Equal(t, test.want, got, sentence)
	}
	t.Run("a filter that gives no answer lets pass, and says so", func(t *testing.T) {
		t.Parallel()
		ready, err := expressions.Policy(policy(func(s *v1alpha1.NotificationPolicySpec) { s.Filter = "[1][event.run] == 2" }))
		require.NoError(t, err)
		got, err := ready.Matches(item, nil)
		require.ErrorContains(t, err, "spec.filter")
		require.True(t, got)
	})
	for field, change := range map[string]func(*v1alpha1.NotificationPolicySpec){
		"spec.filter":         func(s *v1alpha1.NotificationPolicySpec) { s.Filter = "event.nonsense" },
		"spec.template.title": func(s *v1alpha1.NotificationPolicySpec) { s.Template.Title = "message." },
		"spec.selector":       func(s *v1alpha1.NotificationPolicySpec) { s.Selector.MatchLabels = map[string]string{"a b": "c"} },
	} {
		_, err := expressions.Policy(policy(change))
		require.ErrorContains(t, err, field)
	}
}

func TestExpressionsSeeAMessageAsItsJSON(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	message := group(run(v1alpha1.EventRunFailed, "web"), completed).Message(build(nil))
	title, err := expressions.Title(`message.level + ' in ' + message.subject.application + ': ' + message.title`, message)
	require.NoError(t, err)
	require.Equal(t, "failure in shop: "+message.Title, title)
	body, err := expressions.JSON(`{'type': 'message', 'attachments': [{'text': message.title, 'n': message.version}]}`, message)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"type":"message","attachments":[{"text":%q,"n":2}]}`, message.Title), string(body))
	_, err = expressions.Title("message.version", message)
	require.ErrorContains(t, err, "want a string")
	_, err = expressions.Title("message.nothing", message)
	require.Error(t, err)
	_, err = expressions.JSON("duration('1s')", message)
	require.NoError(t, err, "a duration is a text in JSON")
}

func TestAMessageTellsWhoAskedAndWhy(t *testing.T) {
	t.Parallel()
	by := func(actor, reason string) route.Item {
		item := run(v1alpha1.EventRunFailed, "web")
		item.Actor, item.ActorReason = actor, reason
		return item
	}
	for sentence, test := range map[string]struct {
		items []route.Item
		want  string
	}{
		"nobody asked":           {[]route.Item{by("", "")}, ""},
		"a program did":          {[]route.Item{by("Argo", ""), by("Penstock", "")}, ""},
		"a person asked":         {[]route.Item{by("ann", ""), by("ann", "")}, "ann"},
		"they said why":          {[]route.Item{by("ann", "the demo is at nine")}, "ann (the demo is at nine)"},
		"several asked":          {[]route.Item{by("ann", "once more"), by("", ""), by("bob", "")}, "ann (once more), bob"},
		"more asked than we say": {[]route.Item{by("a", ""), by("b", ""), by("c", ""), by("d", "")}, "a, b, c, …"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			for _, message := range []notify.Message{group(test.items...).Message(nil), group(test.items...).Message(build(nil))} {
				asked := ""
				for _, detail := range message.Details {
					if detail.Name == "asked for by" {
						asked = detail.Text
					}
				}
				require.Equal(t, test.want, asked)
				if len(test.items) == 1 {
					require.Equal(t, test.items[0].Actor, message.Subject.Actor)
					require.Equal(t, test.items[0].ActorReason, message.Subject.ActorReason)
				}
			}
		})
	}
}

func TestTemplatesAndFiltersKnowWhoAskedAndWhy(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	item := run(v1alpha1.EventRunFailed, "web")
	item.Actor, item.ActorReason = "ann", "the demo is at nine"
	title, err := expressions.Title(`message.title + ' (' + message.subject.actor + ': ' + message.subject.actorReason + ')'`, group(item).Message(nil))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(title, " (ann: the demo is at nine)"), title)
	_, err = expressions.Policy(&v1alpha1.NotificationPolicy{Spec: v1alpha1.NotificationPolicySpec{
		Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Filter: `event.actor == 'ann' && event.actorReason.contains('demo')`,
	}})
	require.NoError(t, err)
}

func TestAMessageNamesTheClusterOfARun(t *testing.T) {
	t.Parallel()
	item := run(v1alpha1.EventRunFailed, "web")
	require.NotContains(t, group(item).Message(nil).Title, "cluster")
	item.RunCluster = "eu-1"
	message := group(item).Message(nil)
	require.Contains(t, message.Title, " in cluster eu-1 failed")
	require.Equal(t, "eu-1", message.Subject.Cluster)
	require.Equal(t, group(run(v1alpha1.EventRunFailed, "web")).Key, group(item).Key, "it is told with the other runs of its build")
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	_, err = expressions.Policy(&v1alpha1.NotificationPolicy{Spec: v1alpha1.NotificationPolicySpec{
		Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Filter: `event.runCluster == 'eu-1' && event.cluster == ''`,
	}})
	require.NoError(t, err)
}
