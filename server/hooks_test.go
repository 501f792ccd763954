package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
)

const hookPath = "a-path-that-nobody-guesses"

var installWebhooks = sync.OnceValue(func() error { return local.InstallWebhooks(context.Background()) })

// receives gives a namespace a Receiver and its Secret, which the server may read where it is
// granted.
func (s *scene) receives(t testing.TB, namespace string, granted bool, change func(*v1alpha1.ReceiverSpec)) {
	t.Helper()
	require.NoError(t, installWebhooks())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hooks"}, StringData: map[string]string{"token": "secret"}}
	_, err := s.kube.CoreV1().Secrets(namespace).Create(t.Context(), secret, metav1.CreateOptions{})
	require.NoError(t, err)
	spec := v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}}
	change(&spec)
	_, err = s.rows.PutReceiver(t.Context(), store.Receiver{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "hook"}, UID: "uid", Generation: 1, Spec: spec}, hookPath)
	require.NoError(t, err)
	if granted {
		s.grant(t, namespace)
	}
}

// grant lets the server read the Secrets of a namespace.
func (s *scene) grant(t testing.TB, namespace string) {
	t.Helper()
	_, err := s.kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "penstock-webhooks"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-webhooks"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "penstock-server", Namespace: env.ControllerNamespace}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// hook sends a push, and returns the status and the answer.
func (s *scene) hook(t testing.TB, path, secret, id, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.hooks+"/hooks/"+path, strings.NewReader(body))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set("X-GitHub-Event", "push")
	request.Header.Set("X-GitHub-Delivery", id)
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func TestAWebhookIsAnsweredOnceItIsKept(t *testing.T) {
	t.Parallel()
	s, namespace := newScene(t, options{}), local.NewNamespace(t)
	s.receives(t, namespace, true, func(*v1alpha1.ReceiverSpec) {})
	require.Eventually(t, func() bool {
		status, _ := s.hook(t, hookPath, "secret", "one", "{}")
		return status == http.StatusAccepted
	}, patience, look, "the right takes effect")
	status, first := s.hook(t, hookPath, "secret", "two", `{"a":1}`)
	require.Equal(t, http.StatusAccepted, status)
	_, again := s.hook(t, hookPath, "secret", "two", `{"a":1}`)
	var one, two struct {
		ID        string
		Duplicate bool
	}
	require.NoError(t, json.Unmarshal([]byte(first), &one))
	require.NoError(t, json.Unmarshal([]byte(again), &two))
	require.Equal(t, one.ID, two.ID)
	require.True(t, two.Duplicate)
	var kept int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM webhook_delivery WHERE namespace = $1", namespace).Scan(&kept))
	require.Equal(t, 2, kept)

	unknown, why := s.hook(t, "other", "secret", "three", "{}")
	wrong, sameWhy := s.hook(t, hookPath, "wrong", "three", "{}")
	require.Equal(t, []any{http.StatusNotFound, http.StatusNotFound, why}, []any{unknown, wrong, sameWhy})
	require.GreaterOrEqual(t, s.metric(t, s.observer(t), `penstock_server_webhooks_total{code="202",type="github"}`), 3.0)
}

func TestWithoutTheRightToReadItsSecretNothingIsReceived(t *testing.T) {
	t.Parallel()
	s, namespace := newScene(t, options{}), local.NewNamespace(t)
	s.receives(t, namespace, false, func(*v1alpha1.ReceiverSpec) {})
	status, _ := s.hook(t, hookPath, "secret", "one", "{}")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, s.log.String(), "delivery refused")
	noted := func() (reason string) {
		require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT secret_reason FROM receiver WHERE namespace = $1 AND secret_generation = 1", namespace).Scan(&reason))
		return reason
	}
	require.Eventually(t, func() bool { return s.isNoted(namespace) && noted() == "Forbidden" }, patience, look, "the controller tells it on the Receiver")
	s.grant(t, namespace)
	require.Eventually(t, func() bool { return noted() == "" }, patience, look)
}

// isNoted tells whether a Secret of the namespace was looked at.
func (s *scene) isNoted(namespace string) (is bool) {
	err := s.rows.Pool().QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM receiver WHERE namespace = $1 AND secret_generation = 1)", namespace).Scan(&is)
	return is && err == nil
}

func TestTheAPIIsNotServedWhereWebhooksAre(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	for _, path := range []string{"/api/v1/clusters", "/openapi.json", "/metrics", "/readyz"} {
		response, err := s.client.Get("https://" + s.hooks + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, path)
	}
}

func TestManyWebhooksAtOnceAreKeptOnceEach(t *testing.T) {
	t.Parallel()
	s, namespace := newScene(t, options{}), local.NewNamespace(t)
	s.receives(t, namespace, true, func(*v1alpha1.ReceiverSpec) {})
	require.Eventually(t, func() bool {
		status, _ := s.hook(t, hookPath, "secret", "first", "{}")
		return status == http.StatusAccepted
	}, patience, look)
	var group sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	for worker := range 20 {
		group.Go(func() {
			for i := range 20 {
				began := time.Now()
				id := fmt.Sprint(worker*16 + i) // a fifth is sent by another worker as well
				status, _ := s.hook(t, hookPath, "secret", id, `{"id":`+id+`,"pad":"`+string(bytes.Repeat([]byte("x"), 4000))+`"}`)
				mu.Lock()
				slowest = max(slowest, time.Since(began))
				if status != http.StatusAccepted {
					t.Errorf("status %d", status)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("the slowest answer took %s", slowest)
	var kept, ids int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT delivery_id) FROM webhook_delivery WHERE namespace = $1 AND delivery_id <> 'first'", namespace).Scan(&kept, &ids))
	require.Equal(t, 19*16+20, kept)
	require.Equal(t, kept, ids)
}
