package chaos

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// sender is a GitHub whose webhooks come to a world.
type sender struct {
	*world.World
	t        *testing.T
	receiver *v1alpha1.Receiver
	rows     *store.Store
}

const (
	// senderToken signs what is sent.
	senderToken = "token"
	// pushedCommit is what is pushed.
	pushedCommit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
)

// newSender has a pipeline that builds every branch, and a Receiver with its path.
func newSender(t *testing.T) *sender {
	t.Helper()
	s := &sender{World: newWorld(t, samePod), t: t}
	s.Create(
		&v1alpha1.CiPipeline{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.CiPipelineSpec{Source: &v1alpha1.Source{URL: "https://github.com/team/shop"}}},
		given.Secret("hooks", map[string]string{"token": senderToken}),
	)
	s.receiver = &v1alpha1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "hook"},
		Spec:       v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
	}
	s.Create(s.receiver)
	controller := s.Start()
	s.Eventually("the path", func(ctx context.Context) bool {
		require.NoError(t, s.Cluster.Get(ctx, client.ObjectKeyFromObject(s.receiver), s.receiver))
		return s.receiver.Status.Path != ""
	})
	require.NoError(t, controller.Stop())
	var err error
	s.rows, err = store.Open(t.Context(), store.Config{URL: s.DatabaseURL, Schema: "penstock", MaxConns: 2, ApplicationName: "github"})
	require.NoError(t, err)
	t.Cleanup(s.rows.Close)
	return s
}

// body is a push to a branch.
func body(branch string) string {
	return fmt.Sprintf(`{"ref":"refs/heads/%s","after":%q,"repository":{"clone_url":"https://github.com/team/shop.git"}}`, branch, pushedCommit)
}

// keep has a push kept, as the server does.
func (s *sender) keep(branch string) {
	s.t.Helper()
	github, _ := webhook.SenderOf(v1alpha1.ReceiverGitHub)
	request := webhook.Request{Header: http.Header{"X-Github-Event": {"push"}, "X-Github-Delivery": {branch}}, Body: []byte(body(branch))}
	event, err := github.Parse(request)
	require.NoError(s.t, err)
	_, _, err = s.rows.AddDelivery(s.t.Context(), store.WebhookDelivery{
		Namespace: s.Namespace, Receiver: s.receiver.Name, ReceiverUID: s.receiver.UID, DeliveryID: event.ID, Type: v1alpha1.ReceiverGitHub,
		Event: event.Name, Header: request.Header, Body: request.Body, Repository: event.Order,
	})
	require.NoError(s.t, err)
}

// builtOnce waits until everything is worked off, and requires one build of each branch.
func (s *sender) builtOnce(branches int) {
	s.t.Helper()
	within(s.t, world.Patience, "all is worked off", func(context.Context) bool {
		return s.Count("SELECT count(*) FROM webhook_delivery WHERE status = 'Done' AND outcome = 'Built'") == branches
	})
	var builds v1alpha1.CiBuildList
	require.NoError(s.t, s.Cluster.List(s.t.Context(), &builds))
	refs := map[string]int{}
	for _, build := range builds.Items {
		refs[build.Spec.Ref]++
	}
	require.Len(s.t, refs, branches)
	require.Len(s.t, builds.Items, branches, "a delivery was built twice: %v", refs)
}

// Whenever the controller is killed, each delivery that was kept is worked off, and makes one
// build.
func TestAKillAtAnyStepOfADeliveryBuildsOnce(t *testing.T) {
	s, kills := newSender(t), sized(99, 6)
	points := []failpoint.Name{failpoint.DeliveryAfterClaim, failpoint.DeliveryAfterCreate, failpoint.DeliveryBeforeRecord}
	for kill := range kills {
		controller := breaking(s.World, fmt.Sprintf("%s=1*kill", points[kill%len(points)]))
		s.keep(fmt.Sprintf("b%d", kill))
		require.True(t, killedWithin(t, controller, world.Patience), "the step is never passed")
	}
	s.Start()
	s.builtOnce(kills)
	require.Positive(t, s.Count("SELECT count(*) FROM webhook_delivery WHERE attempts > 1"), "no kill came while a delivery was worked off")
	s.Judge()
}

// A server that is killed after it has kept a delivery, and before it has said so, is asked to
// keep it again; another one does.
func TestAKilledServerLosesNoWebhookAndDoublesNone(t *testing.T) {
	s := newSender(t)
	require.NoError(t, local.InstallServer(t.Context()))
	require.NoError(t, local.InstallWebhooks(t.Context()))
	_, err := s.Kubectl(t.Context(), "create", "rolebinding", "penstock-webhooks", "--clusterrole=penstock-webhooks", "--serviceaccount=penstock-system:penstock-server")
	require.NoError(t, err)
	s.Start()
	const pushes = 3
	for push := range pushes {
		breaks, err := local.StartServer(t.Context(), env.ServerOptions{
			Name: fmt.Sprintf("breaks-%d", push), DatabaseURL: s.DatabaseURL, Binary: "penstock-failpoints", Env: []string{failpoint.Variable + "=" + string(failpoint.HookAfterInsert) + "=1*kill"},
		})
		require.NoError(t, err)
		within(t, world.Patience, "the server is killed", func(ctx context.Context) bool {
			status, err := s.send(ctx, breaks, fmt.Sprintf("b%d", push))
			require.NotEqual(t, http.StatusAccepted, status, "it was to be killed before it answers")
			return err != nil
		})
		other, err := local.StartServer(t.Context(), env.ServerOptions{Name: fmt.Sprintf("other-%d", push), DatabaseURL: s.DatabaseURL})
		require.NoError(t, err)
		within(t, world.Patience, "another server answers", func(ctx context.Context) bool {
			status, err := s.send(ctx, other, fmt.Sprintf("b%d", push))
			return err == nil && status == http.StatusAccepted
		})
		require.NoError(t, other.Stop())
	}
	s.builtOnce(pushes)
	require.Equal(t, pushes, s.Count("SELECT count(*) FROM webhook_delivery WHERE repeats > 0"), "each was kept before the kill")
	s.Judge()
}

// send pushes to a branch by way of a server.
func (s *sender) send(ctx context.Context, server *env.Server, branch string) (status int, err error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Roots()}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.HooksURL+s.receiver.Status.Path, strings.NewReader(body(branch)))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(senderToken))
	mac.Write([]byte(body(branch)))
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set("X-Github-Event", "push")
	request.Header.Set("X-Github-Delivery", branch)
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
