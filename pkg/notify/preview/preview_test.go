package preview_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/preview"
	"github.com/penstock-cd/penstock/pkg/notify/route"
)

var noon = time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)

// policy tells these events.
func policy(change func(*v1alpha1.NotificationPolicySpec), on ...v1alpha1.NotificationEvent) *v1alpha1.NotificationPolicy {
	object := &v1alpha1.NotificationPolicy{Spec: v1alpha1.NotificationPolicySpec{Events: on, Channels: []string{"ops"}}}
	if change != nil {
		change(&object.Spec)
	}
	return object
}

func ended(kind v1alpha1.NotificationEvent, pipeline string, after time.Duration) route.Item {
	return route.Item{Type: kind, At: noon.Add(after), Pipeline: pipeline, CiPipeline: "ci", Application: "shop", Build: "b1", BuildUID: "uid", Run: 1, Reason: "WorkflowFailed"}
}

// shop is a build of which runs have succeeded and failed, and all have ended.
func shop() ([]route.Item, route.Build) {
	items := []route.Item{
		ended(v1alpha1.EventRunSucceeded, "api", 0), ended(v1alpha1.EventRunFailed, "web", time.Minute), ended(v1alpha1.EventRunFailed, "web", 10*time.Minute),
		ended(v1alpha1.EventTriggersCompleted, "", 10*time.Minute),
	}
	return items, route.Build{Phase: "Succeeded", Triggers: v1alpha1.TriggerSummary{Total: 3, Succeeded: 2, Failed: 1}, FailedPipelines: []string{"web"}}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	failed, succeeded, held := v1alpha1.EventRunFailed, v1alpha1.EventRunSucceeded, v1alpha1.EventRunHeld
	by := func(by v1alpha1.GroupBy) func(*v1alpha1.NotificationPolicySpec) {
		return func(spec *v1alpha1.NotificationPolicySpec) { spec.Group.By = by }
	}
	selects := func(spec *v1alpha1.NotificationPolicySpec) {
		spec.Selector.MatchLabels = map[string]string{"team": "a"}
	}
	for sentence, test := range map[string]struct {
		policy *v1alpha1.NotificationPolicy
		labels map[string]map[string]string
		titles []string
		note   string
	}{
		"by build it is one message with all figures": {policy: policy(nil, failed), titles: []string{"shop (build b1): 2 of 3 deployed, 1 failed: web"}},
		"by pipeline what comes after the interval is another message": {
			policy: policy(by(v1alpha1.GroupByPipeline), failed, succeeded),
			titles: []string{"api: run 1 of build b1 succeeded", "web: run 1 of build b1 failed: WorkflowFailed", "web: run 1 of build b1 failed: WorkflowFailed"},
		},
		"a longer interval makes it one": {
			policy: policy(func(spec *v1alpha1.NotificationPolicySpec) {
				spec.Group = v1alpha1.NotificationGroup{By: v1alpha1.GroupByNone, Interval: &metav1.Duration{Duration: time.Hour}}
			}, failed),
			titles: []string{"web: 2 runs failed since 12:01 UTC: WorkflowFailed"},
		},
		"a title of the policy's own": {
			policy: policy(func(spec *v1alpha1.NotificationPolicySpec) {
				spec.Template.Title = `message.subject.build + " is " + message.level`
			}, failed),
			titles: []string{"b1 is failure"},
		},
		"a title that fails is said, and that of every policy is taken": {
			policy: policy(func(spec *v1alpha1.NotificationPolicySpec) { spec.Template.Title = `message.nothing` }, failed),
			titles: []string{"shop (build b1): 2 of 3 deployed, 1 failed: web"}, note: "the title is that of every policy, since spec.template.title fails: no such key: nothing",
		},
		"an event that has not happened": {policy: policy(nil, held), note: "nothing is told: spec.events is RunHeld, and what has happened is RunSucceeded, RunFailed, TriggersCompleted"},
		"a filter that lets nothing pass": {
			policy: policy(func(spec *v1alpha1.NotificationPolicySpec) { spec.Filter = `event.pipeline == "db"` }, failed),
			note:   "nothing is told: spec.selector or spec.filter lets none of the build's events pass",
		},
		"labels that are not known": {
			policy: policy(selects, failed), titles: []string{"shop (build b1): 2 of 3 deployed, 1 failed: web"},
			note: "the labels of spec.selector were left out of account, since the labels of the pipelines are not known",
		},
		"labels of another pipeline": {
			policy: policy(selects, failed), labels: map[string]map[string]string{"cdpipelines/api": {"team": "a"}},
			note: "nothing is told: spec.selector or spec.filter lets none of the build's events pass",
		},
		"labels of the pipeline": {
			policy: policy(selects, failed), labels: map[string]map[string]string{"cdpipelines/web": {"team": "a"}},
			titles: []string{"shop (build b1): 2 of 3 deployed, 1 failed: web"},
		},
		"a policy that is suspended": {
			policy: policy(func(spec *v1alpha1.NotificationPolicySpec) { spec.Suspend = true }, failed),
			titles: []string{"shop (build b1): 2 of 3 deployed, 1 failed: web"}, note: "the policy tells nothing while spec.suspend is true",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			expressions, err := route.NewExpressions()
			require.NoError(t, err)
			items, build := shop()
			made, err := preview.Of(t.Context(), expressions, preview.Input{Policy: test.policy, Items: items, Build: build, Labels: test.labels})
			require.NoError(t, err)
			var titles []string
			for _, message := range made.Messages {
				titles = append(titles, message.Title)
			}
			require.Equal(t, test.titles, titles)
			if test.note == "" {
				require.Empty(t, made.Notes)
				return
			}
			require.Equal(t, []string{test.note}, made.Notes)
		})
	}
}

func TestAPreviewOfWhatGoesOnSaysSo(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	items, build := shop()
	build.Triggers.Total, build.Triggers.Running = 4, 1
	made, err := preview.Of(t.Context(), expressions, preview.Input{Policy: policy(nil, v1alpha1.EventRunFailed), Items: items[:3], Build: build})
	require.NoError(t, err)
	require.Equal(t, "shop (build b1): 2 of 4 deployed, 1 under way, 1 failed: web", made.Messages[0].Title)
	require.Equal(t, "build/b1", made.Messages[0].Group, "by its name, as people know it")
	require.Equal(t, []string{"the build's runs have not ended: the figures are those of now"}, made.Notes)

	made, err = preview.Of(t.Context(), expressions, preview.Input{Policy: policy(nil, v1alpha1.EventRunFailed)})
	require.NoError(t, err)
	require.Equal(t, []string{"nothing is told: nothing has happened to the build that a policy can tell of"}, made.Notes)
}

func TestAPreviewIsBounded(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	var items []route.Item
	for i := range preview.MaxMessages + 5 {
		items = append(items, ended(v1alpha1.EventRunFailed, fmt.Sprintf("web-%d", i), 0))
	}
	in := preview.Input{Items: items, Policy: policy(func(spec *v1alpha1.NotificationPolicySpec) { spec.Group.By = v1alpha1.GroupByPipeline }, v1alpha1.EventRunFailed)}
	made, err := preview.Of(t.Context(), expressions, in)
	require.NoError(t, err)
	require.Len(t, made.Messages, preview.MaxMessages)
	require.Equal(t, []string{"5 more messages are not shown"}, made.Notes)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = preview.Of(ctx, expressions, in)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPreviewNamesTheFieldThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	for field, change := range map[string]func(*v1alpha1.NotificationPolicySpec){
		"spec.filter":         func(spec *v1alpha1.NotificationPolicySpec) { spec.Filter = "event.nothing ==" },
		"spec.template.title": func(spec *v1alpha1.NotificationPolicySpec) { spec.Template.Title = "(" },
		"spec.selector": func(spec *v1alpha1.NotificationPolicySpec) {
			spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Odd"}}
		},
	} {
		_, err := preview.Of(t.Context(), expressions, preview.Input{Policy: policy(change, v1alpha1.EventRunFailed)})
		require.ErrorContains(t, err, field+": ")
	}
}
