package delivery

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	commit   = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	digest   = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
	patience = 30 * time.Second
	look     = 20 * time.Millisecond
)

// scene is a worker before a real database and a real API server, where it has exactly the
// rights of config/rbac.
type scene struct {
	t         *testing.T
	admin     client.Client
	config    Config
	rows      *store.Store
	namespace string
	sent      int
}

// checks remember what is wanted of base images.
type checks struct{ wanted []string }

func (c *checks) WantBaseImageChecks(_ context.Context, namespace, repository, tag string) ([]string, error) {
	c.wanted = append(c.wanted, fmt.Sprintf("%s %s %s", namespace, repository, tag))
	return nil, nil
}

func newScene(t *testing.T, objects ...client.Object) *scene {
	t.Helper()
	require.NoError(t, install())
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	controller, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	config := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	s := &scene{t: t, admin: admin, rows: rows, namespace: local.NewNamespace(t)}
	// The controller reads builds and pipelines itself; its cache, which needs a watch, is the
	// administrator's reading here.
	s.config = Config{Cache: admin, Live: controller, Writer: controller, Rows: rows, Checks: &checks{}, Worker: "w", Log: testr.New(t)}
	s.create(objects...)
	return s
}

func (s *scene) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		object.SetNamespace(s.namespace)
		require.NoError(s.t, s.admin.Create(s.t.Context(), object))
	}
}

func (s *scene) worker() *Worker {
	s.t.Helper()
	worker, err := New(s.config)
	require.NoError(s.t, err)
	return worker
}

// pipeline builds a revision of a repository.
func pipeline(name, url, revision string) *v1alpha1.CiPipeline {
	return &v1alpha1.CiPipeline{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.CiPipelineSpec{Source: &v1alpha1.Source{URL: url, Revision: revision}}}
}

func receiver(name string, spec v1alpha1.ReceiverSpec) *v1alpha1.Receiver {
	if spec.Type != v1alpha1.ReceiverUnsigned {
		spec.SecretRef = &v1alpha1.LocalSecretReference{Name: "hooks"}
	}
	return &v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

func github(changes ...func(*v1alpha1.ReceiverSpec)) *v1alpha1.Receiver {
	spec := v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub}
	for _, change := range changes {
		change(&spec)
	}
	return receiver("hook", spec)
}

func mapped() *v1alpha1.Receiver {
	return receiver("hook", v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGeneric, Mapping: &v1alpha1.ReceiverMapping{
		Pipeline: "has(body.pipeline) ? body.pipeline : null", Build: "has(body.build) ? body.build : null", Phase: "has(body.phase) ? body.phase : null",
		Image: "has(body.image) ? body.image : null", Revision: `has(body.revision) ? body.revision : null`,
	}})
}

// send keeps a delivery to the receiver hook, as the server does.
func (s *scene) send(body string, headers ...string) int64 {
	s.t.Helper()
	var to v1alpha1.Receiver
	require.NoError(s.t, s.admin.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hook"}, &to))
	s.sent++
	header := http.Header{}
	header.Set("X-Github-Delivery", fmt.Sprint("delivery-", s.sent))
	header.Set("Idempotency-Key", fmt.Sprint("delivery-", s.sent))
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	sender, _ := webhook.SenderOf(to.Spec.Type)
	event, _ := sender.Parse(webhook.Request{Header: header, Body: []byte(body)})
	id, _, err := s.rows.AddDelivery(s.t.Context(), store.WebhookDelivery{
		Namespace: s.namespace, Receiver: to.Name, ReceiverUID: to.UID, DeliveryID: event.ID, Type: to.Spec.Type, Event: event.Name,
		Header: webhook.Keep(sender, header), Body: []byte(body), Repository: event.Order,
	})
	require.NoError(s.t, err)
	return id
}

// push is a push to team/shop at GitHub.
func (s *scene) push(ref string) int64 {
	s.t.Helper()
	return s.send(fmt.Sprintf(`{"ref":%q,"after":%q,"n":%d,"repository":{"clone_url":"https://github.com/Team/Shop.git","ssh_url":"git@github.com:Team/Shop.git"}}`, ref, commit, s.sent), "X-Github-Event", "push")
}

// outcome works off what is due, and returns what came of a delivery.
func (s *scene) outcome(id int64) string {
	s.t.Helper()
	return s.outcomeBy(s.worker(), id)
}

// outcomeBy is outcome by one worker, for which pauses are over at once.
func (s *scene) outcomeBy(worker *Worker, id int64) string {
	s.t.Helper()
	var message string
	require.Eventually(s.t, func() bool {
		_, err := s.rows.Pool().Exec(s.t.Context(), "UPDATE webhook_delivery SET due_at = now() WHERE id = $1 AND status = 'Received'", id)
		require.NoError(s.t, err)
		_, err = worker.runOnce(s.t.Context())
		require.NoError(s.t, err)
		worker.working.Wait()
		var status string
		row := s.rows.Pool().QueryRow(s.t.Context(), "SELECT status, outcome || '|' || message FROM webhook_delivery WHERE id = $1", id)
		require.NoError(s.t, row.Scan(&status, &message))
		return status == "Done" || status == "Failed"
	}, patience, look)
	return message
}

func (s *scene) builds() []v1alpha1.CiBuild {
	s.t.Helper()
	var list v1alpha1.CiBuildList
	require.NoError(s.t, s.admin.List(s.t.Context(), &list, client.InNamespace(s.namespace)))
	return list.Items
}

func (s *scene) build(name string) v1alpha1.CiBuild {
	s.t.Helper()
	var build v1alpha1.CiBuild
	require.NoError(s.t, s.admin.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &build))
	return build
}
