package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/receiver"
	"github.com/penstock-cd/penstock/test/sender"
	"github.com/penstock-cd/penstock/test/world"
)

// github returns who sends to a Receiver of the world, by way of a server of its own.
func github(t *testing.T, w *world.World) *sender.Sender {
	t.Helper()
	require.NoError(t, apart.InstallServer(t.Context()))
	require.NoError(t, apart.InstallWebhooks(t.Context()))
	_, err := w.Kubectl(t.Context(), "create", "rolebinding", "penstock-webhooks", "--clusterrole=penstock-webhooks", "--serviceaccount=penstock-system:penstock-server")
	require.NoError(t, err)
	w.Create(given.Secret("hooks", map[string]string{"token": "token"}), &v1alpha1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "github"},
		Spec:       v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
	})
	var path string
	w.Eventually("the path", func(context.Context) bool {
		path = get(t, w, "github", &v1alpha1.Receiver{}).Status.Path
		return path != ""
	})
	server, err := apart.StartServer(t.Context(), env.ServerOptions{Name: "server-" + w.Namespace, DatabaseURL: w.DatabaseURL, Binary: "penstock-race", Env: []string{"GORACE=halt_on_error=1"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	through := sender.NewClient(server.Roots(), true, 1)
	t.Cleanup(through.CloseIdleConnections)
	return &sender.Sender{Type: v1alpha1.ReceiverGitHub, URL: server.HooksURL + path, Token: "token", Client: through}
}

// From the push to the message that everything is deployed, each step as the cluster and the rows
// say it.
func TestAPushIsBuiltDeployedAndTold(t *testing.T) {
	t.Parallel()
	w, hook := newNotifyingWorld(t), receiver.NewHook(t)
	none := wfv1.AnyString("none")
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, time.Second), wfv1.Parameter{Name: "build"}, wfv1.Parameter{Name: "url", Value: &none}),
		given.CiPipeline("shop", given.Builds("build"), func(p *v1alpha1.CiPipeline) {
			p.Spec.Source = &v1alpha1.Source{URL: "git@github.com:team/shop.git", Revision: "main"}
		}),
		given.CdPipeline("staging", given.BelowCi("shop")), given.CdPipeline("production", given.BelowCd("staging")),
		given.WebhookChannel("hook", hook.URL()),
		given.Grouped(given.Policy("team", []v1alpha1.NotificationEvent{v1alpha1.EventTriggersCompleted}, "hook"), v1alpha1.GroupByNone, 0, time.Minute))
	w.Start()
	from, push := github(t, w), sender.Push("d-1", "Team/Shop", "main")
	answer, err := from.Send(t.Context(), push)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status)
	require.False(t, answer.Duplicate)

	var build string
	w.Eventually("the delivery is worked off", func(ctx context.Context) bool {
		var message string
		row := w.Database.QueryRow(ctx, `SELECT message FROM webhook_delivery WHERE id = $1::text::bigint AND delivery_id = 'd-1' AND status = 'Done' AND outcome = 'Built'`, answer.ID)
		found := row.Scan(&message) == nil
		build = strings.TrimPrefix(message, "Built ")
		return found
	})
	built := buildIs(t, w, build, v1alpha1.BuildSucceeded, "", "")
	require.Equal(t, v1alpha1.CiBuildSpec{
		PipelineRef: v1alpha1.PipelineReference{Name: "shop"}, Revision: "6113728f27ae82c7b1a177c8d03f9e96e0adf246", Ref: "main",
		Cause: &v1alpha1.BuildCause{Type: v1alpha1.CauseWebhook, By: "receiver/github", Message: "push, delivery " + answer.ID},
	}, built.Spec)
	w.Eventually("its artifact is planned", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM ci_artifact WHERE build_uid = $1 AND image = $2`, string(built.UID), builtImage+":"+build) == 1
	})

	ran := get(t, w, built.Status.WorkflowRef.Name, &wfv1.Workflow{})
	require.Equal(t, wfv1.WorkflowSucceeded, ran.Status.Phase, "by Argo's controller")
	passed := map[string]string{}
	for _, parameter := range ran.Spec.Arguments.Parameters {
		passed[parameter.Name] = parameter.Value.String()
	}
	require.Equal(t, built.Spec.Revision, passed["revision"])
	require.Equal(t, "git@github.com:team/shop.git", passed["url"])
	require.Equal(t, build, passed["build"])

	for _, pipeline := range []string{"staging", "production"} {
		w.Eventually(pipeline+" has deployed it", func(context.Context) bool {
			return w.Count(`SELECT count(*) FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id
				WHERE w.pipeline = $1 AND w.outcome = 'Succeeded' AND a.build_name = $2`, pipeline, build) == 1
		})
		w.Eventually(pipeline+" says so", func(context.Context) bool {
			deployed := get(t, w, pipeline, &v1alpha1.CdPipeline{}).Status.Deployed
			return len(deployed) == 1 && deployed[0].Image == builtImage+":"+build && deployed[0].BuildName == build
		})
	}
	w.Eventually("it is told", func(context.Context) bool { return len(hook.Posts()) > 0 })
	var told notify.Message
	require.NoError(t, json.Unmarshal([]byte(hook.Posts()[0].Body), &told))
	require.Equal(t, build, told.Subject.Build)
	require.Equal(t, "all runs of build "+build+" have ended", told.Title)
	w.Eventually("the receiver says what came of it", func(context.Context) bool {
		last := get(t, w, "github", &v1alpha1.Receiver{}).Status.LastDelivery
		return last != nil && last.ID == answer.ID && last.Outcome == "Built" && last.Message == "Built "+build
	})

	again, err := from.Send(t.Context(), push)
	require.NoError(t, err)
	require.Equal(t, sender.Answer{Status: http.StatusAccepted, ID: answer.ID, Duplicate: true}, again)
	require.Equal(t, 1, w.Count(`SELECT count(*) FROM webhook_delivery`))
	require.Len(t, w.Workflows(), 3)
	require.Len(t, hook.Posts(), 1)
	w.Judge()
}
