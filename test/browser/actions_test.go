package browser

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// operator is somebody who may do all that the dashboard offers.
func (s *stage) operator(t *testing.T, name string) string {
	t.Helper()
	token, err := s.person(t.Context(), name, "penstock-reader", "penstock-cluster-reader", "penstock-triggerer", "penstock-approver", "penstock-holder",
		"penstock-builder", "penstock-wave-operator", "penstock-redeliverer", "penstock-notifier")
	require.NoError(t, err)
	return token
}

// steered is an application of one CdPipeline for each of these, with a build that has succeeded.
func (s *stage) steered(t *testing.T, application string, pipelines ...*v1alpha1.CdPipeline) {
	t.Helper()
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(given.CiPipeline(application), application)))
	for _, pipeline := range pipelines {
		pipeline.Spec.Application = application
		require.NoError(t, s.cluster.Create(t.Context(), ofShop(pipeline, application)))
	}
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(given.CiBuild(application+"-1", given.BuildOf(application)), application)))
	require.NoError(t, s.succeed(t.Context(), shopNamespace, application+"-1"))
}

// reaches waits until the newest run of a pipeline is in a state.
func (s *stage) reaches(t *testing.T, name, state string) {
	t.Helper()
	require.Eventually(t, func() bool {
		pipeline := &v1alpha1.CdPipeline{}
		err := s.cluster.Get(t.Context(), client.ObjectKey{Namespace: shopNamespace, Name: name}, pipeline)
		return err == nil && pipeline.Status.LastRun != nil && pipeline.Status.LastRun.Phase == state
	}, patience, 200*time.Millisecond, "%s is not %s", name, state)
}

// asks leads from a page to the confirmation of an action, which has to be as every page is.
func (b *tab) asks(path, label, question string) *tab {
	b.t.Helper()
	return b.visit(path).click(label).sees(question).accessible().fits().quiet()
}

func TestAHeldStageIsApprovedByTheMouseAlone(t *testing.T) {
	s := theStage(t)
	s.steered(t, "approved", given.CdPipeline("approved-prod", given.BelowCi("approved"), given.Runs("quick"), given.ManualStage("DEPLOY")))
	s.reaches(t, "approved-prod", "Held")
	b := s.open(t).signIn(s.operator(t, "approver"))
	b.asks("/apps/shop/approved", "Approve DEPLOY", "Approve stage DEPLOY of run").size(390, 844).fits().screenshot("phone-confirm")
	b.size(wide, high)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme).asks("/pipelines/shop/approved-prod", "Approve DEPLOY", "Approve stage DEPLOY of run").screenshot("confirm-" + theme)
	}
	b.fill("#reason", "QA has signed off").sees("Resume stage DEPLOY of run").sees("was resumed").sees("QA has signed off").accessible().fits().quiet()
	b.theme("light").screenshot("request-light")
	s.reaches(t, "approved-prod", "Succeeded")
	b.sees("Succeeded")
	require.NotContains(t, b.visit("/pipelines/shop/approved-prod").text(), "Approve DEPLOY")
}

func TestAHeldStageIsApprovedOnTheQueue(t *testing.T) {
	s := theStage(t)
	s.steered(t, "queued", given.CdPipeline("queued-prod", given.BelowCi("queued"), given.Runs("quick"), given.ManualStage("DEPLOY")))
	s.reaches(t, "queued-prod", "Held")
	b := s.open(t).signIn(s.operator(t, "queue-approver")).visit("/queue?state=Held").sees("queued-prod").accessible().fits()
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme).screenshot("queue-approve-" + theme)
	}
	row := `[...document.querySelectorAll("main tr")].find((one) => one.innerText.includes("queued-prod"))`
	require.Equal(t, []string{"Approve DEPLOY"}, eval[[]string](b, `[...`+row+`.querySelectorAll(".acts a")].map((one) => one.textContent)`))
	eval[bool](b, `(() => { `+row+`.querySelector(".acts a").click(); return true; })()`)
	b.sees("Approve stage DEPLOY of run").fill("#reason", "QA has signed off").sees("was resumed").accessible().quiet()
	s.reaches(t, "queued-prod", "Succeeded")
	require.NotContains(t, b.visit("/queue?state=Held").text(), "queued-prod")
}

func TestAFailedRunIsRetriedWithoutScripts(t *testing.T) {
	s := theStage(t)
	s.steered(t, "retried", given.CdPipeline("retried-dev", given.BelowCi("retried"), given.Runs("failing-pod")))
	s.reaches(t, "retried-dev", "Failed")
	token := s.operator(t, "retrier")
	b := s.open(t).withoutScripts().visit("/sign-in")
	b.fill("#token", token)
	b.visit("/builds/shop/retried-1").click("Retry").sees("A new run of the same artifact begins")
	b.fill("#reason", "the registry is back").sees("Retry run").sees("was made of build retried-1")
	require.Equal(t, 2, s.runs(t, "retried-dev"))
}

// runs counts the runs of a pipeline.
func (s *stage) runs(t *testing.T, name string) (n int) {
	t.Helper()
	require.NoError(t, s.rows(t).Pool().QueryRow(t.Context(), `SELECT count(*) FROM penstock.cd_workflow WHERE namespace = $1 AND pipeline = $2`, shopNamespace, name).Scan(&n))
	return n
}

func TestARunIsCancelledOnceByADoubleClick(t *testing.T) {
	s := theStage(t)
	s.steered(t, "cancelled", given.CdPipeline("cancelled-dev", given.BelowCi("cancelled"), given.Runs("slow")))
	s.reaches(t, "cancelled-dev", "Running")
	b := s.open(t).signIn(s.operator(t, "canceller")).asks("/builds/shop/cancelled-1", "Cancel", "Cancel run")
	eval[bool](b, `(() => { const button = document.querySelector("main button.main"); button.click(); button.click(); return true; })()`)
	b.sees("was cancelled").quiet()
	s.reaches(t, "cancelled-dev", "Cancelled")
	var list v1alpha1.RunRequestList
	require.NoError(t, s.cluster.List(t.Context(), &list, client.InNamespace(shopNamespace)))
	cancels := 0
	for _, one := range list.Items {
		if one.Spec.Action == v1alpha1.ActionCancel && one.Spec.PipelineRef != nil && one.Spec.PipelineRef.Name == "cancelled-dev" {
			cancels++
			require.Equal(t, "system:serviceaccount:default:canceller", one.Spec.By)
		}
	}
	require.Equal(t, 1, cancels)
}

func TestWhoMayOnlyReadIsOfferedNoAction(t *testing.T) {
	s := theStage(t)
	b := s.open(t).signIn(s.reader)
	for _, path := range []string{"/apps/shop/shop", "/pipelines/shop/shop-prod", "/builds/shop/shop-1", "/queue?state=Held", "/images", "/deliveries?namespace=shop", "/notifications?namespace=shop"} {
		require.Zero(t, eval[int](b.visit(path), `document.querySelectorAll("main a[href*='/actions/']").length`), path)
	}
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme).visit(fmt.Sprintf("/actions/rollback?namespace=%s&pipeline=shop-prod", shopNamespace)).sees("You may not see or do this").accessible().screenshot("action-denied-" + theme)
	}
}

func TestAPipelineIsHeldAndReleased(t *testing.T) {
	s := theStage(t)
	s.steered(t, "held", given.CdPipeline("held-dev", given.BelowCi("held"), given.Runs("quick")))
	s.reaches(t, "held-dev", "Succeeded")
	held := func() bool {
		pipeline := &v1alpha1.CdPipeline{}
		require.NoError(t, s.cluster.Get(t.Context(), client.ObjectKey{Namespace: shopNamespace, Name: "held-dev"}, pipeline))
		return pipeline.Spec.Hold
	}
	b := s.open(t).signIn(s.operator(t, "holder")).asks("/pipelines/shop/held-dev", "Hold", "Hold held-dev?")
	b.fill("#reason", "stock-taking").sees("The pipeline is held, by default/holder: stock-taking").accessible().fits().quiet()
	require.True(t, held())
	b.theme("light").screenshot("pipeline-held-light")
	b.asks("/pipelines/shop/held-dev", "Release", "Release held-dev?")
	b.fill("#reason", "counted").sees("The pipeline was released, by default/holder: counted").quiet()
	require.False(t, held())
}

func TestAPipelineIsTriggeredAndRolledBack(t *testing.T) {
	s := theStage(t)
	s.steered(t, "chosen", given.CdPipeline("chosen-dev", given.BelowCi("chosen"), given.Runs("quick")))
	s.reaches(t, "chosen-dev", "Succeeded")
	b := s.open(t).signIn(s.operator(t, "chooser")).asks("/pipelines/shop/chosen-dev", "Trigger a build", "Trigger chosen-dev?")
	b.theme("light").screenshot("confirm-trigger-light")
	require.Contains(t, b.text(), "chosen-1")
	b.fill("#reason", "once more").sees("Trigger chosen-dev").sees("was made of build chosen-1").quiet()
	b.asks("/pipelines/shop/chosen-dev", "Roll back", "Roll back chosen-dev?")
	b.fill("#reason", "payments fail").sees("Refused").sees("has deployed nothing before build chosen-1").accessible().quiet()
	b.theme("dark").screenshot("request-refused-dark")
}

func TestWavesDeliveriesAndNotificationsAreActedOn(t *testing.T) {
	s := theStage(t)
	rows := s.rows(t)
	for _, statement := range []string{
		`INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, digest, wave) VALUES ('node', 'shop', 'node', 'example.org/node:24', 'example.org/node', '24', 'sha256:5d3f', 3)`,
		`INSERT INTO wave (image_uid, number, digest, state, message) VALUES ('node', 3, 'sha256:5d3f', 'Stopped', 'more than 10 builds have failed: retry or cancel the wave')`,
		`INSERT INTO notification (namespace, policy, channel, group_key, type, items, events, state, error, attempts, due_at) VALUES ('odd', 'deploys', 'ops', 'x', 'Test', '[]', 1, 'GivenUp', 'no_service', 2, NULL)`,
	} {
		_, err := rows.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	delivery, _, err := rows.AddDelivery(t.Context(), store.WebhookDelivery{
		Namespace: oddNamespace, Receiver: "github", ReceiverUID: "uid", DeliveryID: "d1", Type: "github", Event: "push", Header: http.Header{}, Body: []byte("{}"), Repository: "github.com/team/odd",
	})
	require.NoError(t, err)
	_, err = rows.Pool().Exec(t.Context(), `UPDATE webhook_delivery SET status = 'Failed', outcome = 'Failed', finished_at = now() WHERE id = $1`, delivery)
	require.NoError(t, err)

	b := s.open(t).signIn(s.operator(t, "caretaker")).asks("/images/shop/node/3", "Stop the wave", "Stop wave 3 of node?")
	b.fill("#reason", "the image is broken").sees("Refused").sees("BaseImage node does not exist").quiet()
	b.asks(fmt.Sprintf("/deliveries/odd/%d", delivery), "Redeliver", "Redeliver d1?").confirm().sees("worked off again").accessible().quiet()
	b.asks("/notifications?namespace=odd", "Send again", "Send notification").confirm().sees("Waiting").accessible().quiet()
}

// confirm presses the button of a confirmation that asks for no reason.
func (b *tab) confirm() *tab {
	b.t.Helper()
	eval[bool](b, `(() => { document.querySelector("main button.main").click(); return true; })()`)
	return b
}
