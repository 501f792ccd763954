package chaos

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/registry"
	"github.com/penstock-cd/penstock/test/sender"
	"github.com/penstock-cd/penstock/test/world"
)

// hooked is a world that webhooks come to.
type hooked struct {
	*world.World
	t    *testing.T
	rows *store.Store
	// images is the host of a registry, of which a BaseImage is.
	images string
	// receivers are one of each type that is sent to.
	receivers map[v1alpha1.ReceiverType]*v1alpha1.Receiver
}

const (
	// hookToken signs what is sent.
	hookToken = "token"
	// apps is how many repositories are pushed to: pipeline app-N builds every branch of
	// team/app-N.
	apps = 8
	// elsewhere is a pipeline whose builds are reported.
	elsewhere = "elsewhere"
)

// newHooked has pipelines, a BaseImage and Receivers with their paths.
func newHooked(t *testing.T) *hooked {
	t.Helper()
	h := &hooked{World: newWorld(t, samePod, mayReachLoopback), t: t, receivers: map[v1alpha1.ReceiverType]*v1alpha1.Receiver{}}
	images := registry.New(t)
	images.Push(t, "base/go:1", 1)
	h.images = images.Host
	for n := range apps {
		h.Create(given.CiPipeline(fmt.Sprintf("app-%d", n), func(pipeline *v1alpha1.CiPipeline) {
			pipeline.Spec.Source = &v1alpha1.Source{URL: fmt.Sprintf("https://github.com/team/app-%d", n)}
		}))
	}
	h.Create(given.CiPipeline(elsewhere), given.BaseImage("go", h.images+"/base/go:1"), given.Secret("hooks", map[string]string{"token": hookToken}))
	for _, kind := range []v1alpha1.ReceiverType{v1alpha1.ReceiverGitHub, v1alpha1.ReceiverGeneric, v1alpha1.ReceiverDistribution} {
		receiver := &v1alpha1.Receiver{
			ObjectMeta: metav1.ObjectMeta{Name: string(kind)},
			Spec:       v1alpha1.ReceiverSpec{Type: kind, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
		}
		if kind == v1alpha1.ReceiverGeneric {
			receiver.Spec.Mapping = &v1alpha1.ReceiverMapping{Pipeline: "body.pipeline", Build: "body.build", Phase: "body.phase", Image: "body.image", Digest: "body.digest"}
		}
		h.Create(receiver)
		h.receivers[kind] = receiver
	}
	controller := h.Start()
	for _, receiver := range h.receivers {
		h.Eventually("the path", func(ctx context.Context) bool {
			require.NoError(t, h.Cluster.Get(ctx, client.ObjectKeyFromObject(receiver), receiver))
			return receiver.Status.Path != ""
		})
	}
	require.NoError(t, controller.Stop())
	var err error
	h.rows, err = store.Open(t.Context(), store.Config{URL: h.DatabaseURL, Schema: "penstock", MaxConns: 2, ApplicationName: "hooks"})
	require.NoError(t, err)
	t.Cleanup(h.rows.Close)
	return h
}

// keep has a delivery kept, as the server does.
func (h *hooked) keep(kind v1alpha1.ReceiverType, delivery sender.Delivery) {
	h.t.Helper()
	header := http.Header{"X-Github-Event": {delivery.Event}, "X-Github-Delivery": {delivery.ID}, "Idempotency-Key": {delivery.ID}}
	of, _ := webhook.SenderOf(kind)
	event, err := of.Parse(webhook.Request{Header: header, Body: []byte(delivery.Body)})
	require.NoError(h.t, err)
	receiver := h.receivers[kind]
	_, _, err = h.rows.AddDelivery(h.t.Context(), store.WebhookDelivery{
		Namespace: h.Namespace, Receiver: receiver.Name, ReceiverUID: receiver.UID, DeliveryID: event.ID, Type: kind,
		Event: event.Name, Header: webhook.Keep(of, header), Body: []byte(delivery.Body), Repository: event.Order,
	})
	require.NoError(h.t, err)
}

// mayServe lets servers of the world read the Secret of the Receivers.
func (h *hooked) mayServe() {
	h.t.Helper()
	require.NoError(h.t, local.InstallServer(h.t.Context()))
	require.NoError(h.t, local.InstallWebhooks(h.t.Context()))
	_, err := h.Kubectl(h.t.Context(), "create", "rolebinding", "penstock-webhooks", "--clusterrole=penstock-webhooks", "--serviceaccount=penstock-system:penstock-server")
	require.NoError(h.t, err)
}

// serve starts a server of the world.
func (h *hooked) serve(name, binary string, environ ...string) *env.Server {
	h.t.Helper()
	server, err := local.StartServer(h.t.Context(), env.ServerOptions{Name: h.Namespace + "-" + name, DatabaseURL: h.DatabaseURL, Binary: binary, Env: environ})
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, server.Stop()) })
	return server
}

// sender sends to a Receiver of the type at an address.
func (h *hooked) sender(kind v1alpha1.ReceiverType, hooksURL string, through *http.Client) *sender.Sender {
	return &sender.Sender{Type: kind, URL: hooksURL + h.receivers[kind].Status.Path, Token: hookToken, Client: through}
}

// workedOff waits until nothing is left to do for any delivery.
func (h *hooked) workedOff() {
	h.t.Helper()
	within(h.t, 3*world.Patience, "all is worked off", func(context.Context) bool {
		return h.Count("SELECT count(*) FROM webhook_delivery WHERE status IN ('Received', 'Working')") == 0
	})
	require.Zero(h.t, h.Count("SELECT count(*) FROM webhook_delivery WHERE status = 'Failed'"))
}

// builtOnce requires one build of each branch that was pushed to, and of each build that was
// reported, and no other.
func (h *hooked) builtOnce(pushes, reports int) {
	h.t.Helper()
	var builds v1alpha1.CiBuildList
	require.NoError(h.t, h.Cluster.List(h.t.Context(), &builds))
	refs := map[string]int{}
	var reported int
	for i := range builds.Items {
		build := &builds.Items[i]
		if build.Spec.PipelineRef.Name == elsewhere {
			require.Equal(h.t, v1alpha1.BuildSucceeded, build.Status.Phase, build.Name)
			reported++
			continue
		}
		refs[build.Spec.PipelineRef.Name+" "+build.Spec.Ref]++
	}
	require.Equal(h.t, reports, reported)
	require.Len(h.t, refs, pushes)
	require.Len(h.t, builds.Items, pushes+reports, "a delivery was built twice: %v", refs)
}
