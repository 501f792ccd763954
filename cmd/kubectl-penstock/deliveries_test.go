package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store"
)

func TestThePluginShowsDeliveriesAndHasThemWorkedOffAgain(t *testing.T) {
	t.Parallel()
	p, namespace := person(t, false), local.NewNamespace(t)
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	_, err = kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "redeliverer"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-redeliverer"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: p.home, Name: "person"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	rows, err := store.Open(t.Context(), store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	id, _, err := rows.AddDelivery(t.Context(), store.WebhookDelivery{
		Namespace: namespace, Receiver: "github", ReceiverUID: "uid", DeliveryID: "one", Type: "github", Event: "push",
		Header: http.Header{"X-Github-Event": {"push"}}, Body: []byte("a body \x1b[31m"), Repository: "github.com/team/shop",
	})
	require.NoError(t, err)
	number := "delivery/" + strconv.FormatInt(id, 10)

	var out string
	require.Eventually(t, func() bool {
		var code int
		code, out, _ = p.run(t, "deliveries", "github", "-n", namespace, "-o", "name")
		return code == 0
	}, patience, 100*time.Millisecond, "the right takes effect")
	require.Equal(t, number+"\n", out)
	_, out, _ = p.run(t, "deliveries", "-n", namespace)
	require.Contains(t, out, "github")
	require.Contains(t, out, "Received")
	code, out, _ := p.run(t, "deliveries", "show", number, "-n", namespace)
	require.Zero(t, code)
	require.Contains(t, out, "X-Github-Event: push")
	require.Contains(t, out, "a body")
	require.NotContains(t, out, "\x1b", "what others sent does not reach the terminal as it is")
	code, out, _ = p.run(t, "redeliver", number, "-n", namespace)
	require.Zero(t, code)
	require.Contains(t, out, "works it off again")
	code, _, errOut := p.run(t, "redeliver", "x", "-n", namespace)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "is no number of a delivery")
	code, _, errOut = p.run(t, "redeliver", "999999", "-n", namespace)
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "999999")
}

func TestADeliveryAsTextForPeople(t *testing.T) {
	t.Parallel()
	now := time.Now()
	told := deliveryText(rest.DeliveryDetail{
		Delivery: rest.Delivery{ID: 7, Receiver: "github", Type: "github", State: "Done", Message: "Ignored: branch deletion", ReceivedAt: now.Add(-time.Minute), RedeliveryOf: 3},
		Headers:  map[string]string{"B": "2", "A": "1"}, Body: "{}",
	}, now)
	require.Contains(t, told, "Again:      delivery 3\n\nA: 1\nB: 2\n\n{}\n")
}
