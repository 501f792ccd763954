package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/expression"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

func newExpressions(t testing.TB) *webhook.Expressions {
	t.Helper()
	expressions, err := webhook.NewExpressions()
	require.NoError(t, err)
	return expressions
}

func generic(mapping v1alpha1.ReceiverMapping) v1alpha1.ReceiverSpec {
	return v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGeneric, Mapping: &mapping}
}

const payload = `{"job":{"name":"shop","number":7,"result":"SUCCESS","parent":null},"image":"registry.example.com/web:1@` + digest + `","commit":"` + commit + `"}`

func TestAMappingTellsWhatADeliveryMeans(t *testing.T) {
	t.Parallel()
	artifact := []v1alpha1.Artifact{{Image: "registry.example.com/web:1", Digest: digest}}
	for name, test := range map[string]struct {
		mapping v1alpha1.ReceiverMapping
		kind    webhook.Kind
		report  webhook.Report
	}{
		"a build that has succeeded": {
			v1alpha1.ReceiverMapping{Pipeline: "body.job.name", Build: `body.job.name + "-" + string(body.job.number)`, Revision: "body.commit", Phase: "body.job.result", Image: "body.image"},
			webhook.BuildReported, webhook.Report{Pipeline: "shop", Build: "shop-7", Revision: commit, Phase: v1alpha1.BuildSucceeded, Artifacts: artifact},
		},
		"an artifact without a phase has succeeded": {
			v1alpha1.ReceiverMapping{Build: `"shop-7"`, Image: "body.image"}, webhook.BuildReported,
			webhook.Report{Build: "shop-7", Phase: v1alpha1.BuildSucceeded, Artifacts: artifact},
		},
		"a build that is to start": {
			v1alpha1.ReceiverMapping{Pipeline: "body.job.name", Ref: `"main"`}, webhook.BuildReported, webhook.Report{Pipeline: "shop", Ref: "main"},
		},
		"an image alone is one that was pushed": {v1alpha1.ReceiverMapping{Image: "body.image"}, webhook.ImagePushed, webhook.Report{}},
		"null is nothing":                       {v1alpha1.ReceiverMapping{Pipeline: "body.job.parent"}, webhook.Ignored, webhook.Report{}},
		"no image is no image":                  {v1alpha1.ReceiverMapping{Image: `"a b"`}, webhook.Ignored, webhook.Report{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := newExpressions(t).Apply(parse(t, v1alpha1.ReceiverGeneric, payload), []byte(payload), generic(test.mapping))
			require.NoError(t, err)
			require.Equal(t, test.kind, event.Kind, event.Why)
			require.Equal(t, test.report, event.Report)
		})
	}
}

func TestAMappingThatGivesNoAnswerIsAnErrorOfItsField(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"body.missing":                       "spec.mapping.pipeline: no such key",
		"body.job.number":                    "yields int, want a string",
		"body.(":                             "spec.mapping.pipeline: ",
		`"` + strings.Repeat("a", 254) + `"`: "yields 254 bytes, want 253 at most",
	} {
		_, err := newExpressions(t).Apply(parse(t, v1alpha1.ReceiverGeneric, payload), []byte(payload), generic(v1alpha1.ReceiverMapping{Pipeline: text}))
		require.ErrorContains(t, err, want, text)
	}
	_, err := newExpressions(t).Apply(parse(t, v1alpha1.ReceiverGeneric, payload), []byte(payload), generic(v1alpha1.ReceiverMapping{Build: `"a"`, Phase: `"banana"`}))
	require.ErrorContains(t, err, `spec.mapping.phase: yields "banana"`)
}

func TestAFilterTellsWhatIsTaken(t *testing.T) {
	t.Parallel()
	push := githubPush("refs/heads/main", commit, "")
	event := parse(t, v1alpha1.ReceiverGitHub, push, "X-GitHub-Event", "push")
	for filter, kind := range map[string]webhook.Kind{
		"":                                 webhook.Pushed,
		`body.ref == "refs/heads/main"`:    webhook.Pushed,
		`event == "push"`:                  webhook.Pushed,
		`body.ref.startsWith("refs/tags")`: webhook.Ignored,
	} {
		applied, err := newExpressions(t).Apply(event, []byte(push), v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, Filter: filter})
		require.NoError(t, err)
		require.Equal(t, kind, applied.Kind, filter)
	}
	for filter, want := range map[string]string{
		"body.missing == 1": "spec.filter: no such key", "body.ref": "spec.filter: yields dyn, want a boolean", "event": "yields string, want a boolean",
	} {
		_, err := newExpressions(t).Apply(event, []byte(push), v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, Filter: filter})
		require.ErrorContains(t, err, want)
	}
}

func TestAFilterEndsWhateverItSays(t *testing.T) {
	t.Parallel()
	body := `{"all":[` + strings.Repeat("1,", 9999) + `1]}`
	event := parse(t, v1alpha1.ReceiverGeneric, body)
	_, err := newExpressions(t).Apply(event, []byte(body), v1alpha1.ReceiverSpec{Filter: "body.all.all(a, body.all.all(b, a == b))"})
	require.ErrorIs(t, err, expression.ErrTooExpensive)
}

func TestAReceiverTakesTheEventsThatItNames(t *testing.T) {
	t.Parallel()
	body, headers := binary(cdevent("dev.cdevents.build.finished.0.2.0", "shop-1", ""))
	event := parse(t, v1alpha1.ReceiverCDEvents, body, headers...)
	for name, kind := range map[string]webhook.Kind{
		"dev.cdevents.build.finished.0.2.0": webhook.BuildReported, "dev.cdevents.build.finished": webhook.BuildReported, "dev.cdevents.build.fin": webhook.Ignored, "push": webhook.Ignored,
	} {
		applied, err := newExpressions(t).Apply(event, []byte(body), v1alpha1.ReceiverSpec{Events: []string{name}})
		require.NoError(t, err)
		require.Equal(t, kind, applied.Kind, name)
	}
}

func TestWithoutAMappingAnUnknownEventMeansNothing(t *testing.T) {
	t.Parallel()
	applied, err := newExpressions(t).Apply(webhook.Event{Kind: webhook.Unmapped}, nil, v1alpha1.ReceiverSpec{})
	require.NoError(t, err)
	require.Equal(t, "no mapping tells what it means", applied.Why)
}

func TestExpressionsAreCheckedBeforeAnythingIsReceived(t *testing.T) {
	t.Parallel()
	expressions := newExpressions(t)
	require.NoError(t, expressions.Check(generic(v1alpha1.ReceiverMapping{Pipeline: "body.job.name"})))
	require.ErrorContains(t, expressions.Check(generic(v1alpha1.ReceiverMapping{Digest: "body."})), "spec.mapping.digest: ")
	require.ErrorContains(t, expressions.Check(v1alpha1.ReceiverSpec{Filter: `"a"`}), "spec.filter: yields string, want a boolean")
}
