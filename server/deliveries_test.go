package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store"
)

// delivered keeps a delivery, as if it had been sent.
func (s *scene) delivered(t testing.TB, namespace, receiver, id string) int64 {
	t.Helper()
	made, _, err := s.rows.AddDelivery(t.Context(), store.WebhookDelivery{
		Namespace: namespace, Receiver: receiver, ReceiverUID: "uid", DeliveryID: id, Type: "github", Event: "push",
		Header: http.Header{"X-Github-Event": {"push"}}, Body: []byte("body of " + id + "\xff"), Repository: "github.com/team/shop",
	})
	require.NoError(t, err)
	return made
}

func TestDeliveriesAreShownAndWorkedOffAgain(t *testing.T) {
	t.Parallel()
	s, namespace := newScene(t, options{}), local.NewNamespace(t)
	reader := s.reader(t, namespace)
	home, name := s.person(t)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, "penstock-redeliverer", namespace)
	redeliverer := s.token(home, name)
	base := "/api/v1/namespaces/" + namespace + "/deliveries"
	var ids []int64
	for i := range 3 {
		ids = append(ids, s.delivered(t, namespace, "hook", fmt.Sprint(i)))
	}
	s.delivered(t, namespace, "other", "x")
	s.delivered(t, local.NewNamespace(t), "hook", "y")

	var list rest.DeliveryList
	s.get(t, reader, base+"?receiver=hook&limit=2").into(t, &list)
	require.Equal(t, []int64{ids[2], ids[1]}, []int64{list.Items[0].ID, list.Items[1].ID})
	require.Equal(t, "Received", list.Items[0].State)
	require.NotNil(t, list.Items[0].DueAt)
	cursor := list.Next
	list = rest.DeliveryList{}
	s.get(t, reader, base+"?receiver=hook&limit=2&cursor="+cursor).into(t, &list)
	require.Len(t, list.Items, 1)
	list = rest.DeliveryList{}
	s.get(t, reader, base+"?failed=true").into(t, &list)
	require.Empty(t, list.Items)

	one := fmt.Sprint(base, "/", ids[0])
	require.Equal(t, http.StatusForbidden, s.get(t, reader, one).status, "bodies are not for everybody who may list")
	require.Equal(t, http.StatusForbidden, s.post(t, reader, one+"/redeliver", "").status)
	require.Equal(t, http.StatusForbidden, s.get(t, s.nobody(t), base).status)
	var detail rest.DeliveryDetail
	s.get(t, redeliverer, one).into(t, &detail)
	require.Equal(t, "body of 0\uFFFD", detail.Body)
	require.Equal(t, map[string]string{"X-Github-Event": "push"}, detail.Headers)

	var made rest.Redelivery
	s.post(t, redeliverer, one+"/redeliver", "").into(t, &made)
	detail = rest.DeliveryDetail{}
	s.get(t, redeliverer, fmt.Sprint(base, "/", made.ID)).into(t, &detail)
	require.Equal(t, ids[0], detail.RedeliveryOf)
	require.Contains(t, s.log.String(), "delivery is worked off again")
	require.Contains(t, s.post(t, redeliverer, base+"/999999/redeliver", "").detail(t, http.StatusNotFound), "999999")
	require.Equal(t, http.StatusNotFound, s.get(t, redeliverer, base+"/999999").status)
}
