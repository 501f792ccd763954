package receiver

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	patience = 30 * time.Second
	look     = 20 * time.Millisecond
)

// scene is a controller before a real database and a real API server, where it has exactly the
// rights of config/rbac to write.
type scene struct {
	*Controller
	t         *testing.T
	admin     client.Client
	rows      *store.Store
	namespace string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	require.NoError(t, install())
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	writer, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	namespace := local.NewNamespace(t)
	config := store.Config{URL: local.NewDatabase(t), Schema: "penstock", MaxConns: 4}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	controller, err := New(Config{Cache: client.NewNamespacedClient(admin, namespace), Writer: writer, Rows: rows, Log: testr.New(t)})
	require.NoError(t, err)
	return &scene{Controller: controller, t: t, admin: admin, rows: rows, namespace: namespace}
}

// change changes the Receiver and has the controller look at it.
func (s *scene) change(change func(*v1alpha1.Receiver)) *v1alpha1.Receiver {
	s.t.Helper()
	receiver := s.receiver()
	change(receiver)
	require.NoError(s.t, s.admin.Update(s.t.Context(), receiver))
	return s.look()
}

func (s *scene) look() *v1alpha1.Receiver {
	s.t.Helper()
	_, err := s.runOnce(s.t.Context())
	require.NoError(s.t, err)
	return s.receiver()
}

func (s *scene) receiver() *v1alpha1.Receiver {
	s.t.Helper()
	var receiver v1alpha1.Receiver
	require.NoError(s.t, s.admin.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hook"}, &receiver))
	return &receiver
}

func (s *scene) create() {
	s.t.Helper()
	require.NoError(s.t, s.admin.Create(s.t.Context(), &v1alpha1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hook"},
		Spec:       v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
	}))
}

func ready(receiver *v1alpha1.Receiver) string {
	condition := meta.FindStatusCondition(receiver.Status.Conditions, v1alpha1.ConditionReady)
	return string(condition.Status) + " " + condition.Reason
}

func TestAReceiverGetsAPathThatNobodyGuessesAndKeepsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.create()
	first := s.look()
	require.Regexp(t, "^/hooks/[A-Za-z0-9_-]{43}$", first.Status.Path)
	require.Equal(t, "True Ready", ready(first))
	require.Equal(t, first.Generation, first.Status.ObservedGeneration)
	require.Equal(t, first.ResourceVersion, s.look().ResourceVersion, "nothing is written where nothing has changed")

	lost := s.receiver()
	lost.Status = v1alpha1.ReceiverStatus{}
	require.NoError(t, s.admin.Status().Update(t.Context(), lost))
	require.Equal(t, first.Status.Path, s.look().Status.Path)

	suspended := s.change(func(receiver *v1alpha1.Receiver) { receiver.Spec.Suspend = true })
	require.Equal(t, "False Suspended", ready(suspended))
	require.Equal(t, first.Status.Path, suspended.Status.Path)
	byPath, err := s.rows.ReceiversByPath(t.Context())
	require.NoError(t, err)
	require.True(t, byPath[suspended.Status.Path[len(prefix):]].Spec.Suspend, "the server sees what was changed")

	invalid := s.change(func(receiver *v1alpha1.Receiver) { receiver.Spec.Filter = "body." })
	require.Equal(t, "False InvalidSpec", ready(invalid))

	require.NoError(t, s.admin.Delete(t.Context(), s.receiver()))
	_, err = s.runOnce(t.Context())
	require.NoError(t, err)
	byPath, err = s.rows.ReceiversByPath(t.Context())
	require.NoError(t, err)
	require.Empty(t, byPath)
	s.create()
	require.NotEqual(t, first.Status.Path, s.look().Status.Path, "whoever makes it again has a path of their own")
}

func TestAReceiverTellsWhatCameLast(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.create()
	receiver := s.look()
	require.Nil(t, receiver.Status.LastDelivery)
	for _, id := range []string{"a", "b"} {
		_, _, err := s.rows.AddDelivery(t.Context(), store.WebhookDelivery{Namespace: s.namespace, Receiver: "hook", ReceiverUID: receiver.UID, DeliveryID: id, Body: []byte(id)})
		require.NoError(t, err)
		claimed, err := s.rows.ClaimDeliveries(t.Context(), "w", time.Minute, 1)
		require.NoError(t, err)
		require.NoError(t, s.rows.FinishDelivery(t.Context(), "w", claimed[0], false, "Ignored", "Ignored: "+id))
		s.look()
	}
	require.Nil(t, s.receiver().Status.LastDelivery, "it was written a moment ago")
	s.written[receiver.UID] = time.Now().Add(-calmInterval)
	last := s.look().Status.LastDelivery
	require.Equal(t, "2", last.ID)
	require.Equal(t, "Ignored", last.Outcome)
	require.Equal(t, "Ignored: b", last.Message)
}

func TestAReceiverTellsWhatIsWrongWithItsSecret(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.create()
	receiver := s.look()
	require.Equal(t, "True Ready", ready(receiver), "nobody has looked yet")
	problem := store.SecretProblem{Generation: receiver.Generation, Reason: v1alpha1.ReasonSecretNotFound, Message: "Secret hooks does not exist"}
	require.NoError(t, s.rows.NoteSecret(t.Context(), receiver.UID, problem))
	told := s.look()
	require.Equal(t, "False SecretNotFound", ready(told))
	require.Equal(t, problem.Message, meta.FindStatusCondition(told.Status.Conditions, v1alpha1.ConditionReady).Message)
	require.Equal(t, told.ResourceVersion, s.look().ResourceVersion)

	other := s.change(func(receiver *v1alpha1.Receiver) { receiver.Spec.SecretRef.Name = "others" })
	require.Equal(t, "True Ready", ready(other), "it is about another Secret")
	problem.Generation = other.Generation
	require.NoError(t, s.rows.NoteSecret(t.Context(), receiver.UID, problem))
	require.Equal(t, "False SecretNotFound", ready(s.look()))
	require.NoError(t, s.rows.NoteSecret(t.Context(), receiver.UID, store.SecretProblem{Generation: other.Generation}))
	require.Equal(t, "True Ready", ready(s.look()))
}

func TestTheControllerStartsAndStops(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cached := local.NewCache(t, func(context.Context, client.FieldIndexer) error { return nil })
	s.Cache = cached
	require.NoError(t, s.Watch(t.Context(), cached))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	s.create()
	require.Eventually(t, func() bool { return s.receiver().Status.Path != "" }, patience, look)
	stop()
	require.NoError(t, <-ended)
}
