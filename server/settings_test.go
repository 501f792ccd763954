package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
)

// limited is a scene whose controller says that these limits are in force.
func limited(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, options{})
	state := store.WorkerState{Limits: []config.InForce{
		{Name: "KUBE_API_QPS", Value: "70", From: config.FromConfigMap},
		{Name: "FREEZE", Value: "all of shop", From: config.FromConfigMap},
		{Name: "KUBE_API_BURST", Value: "10", From: config.FromBefore, Refused: `KUBE_API_BURST="many": must be a whole number`},
	}}
	require.NoError(t, s.rows.Beat(t.Context(), "worker", "replica", state))
	return s
}

func TestListSettings(t *testing.T) {
	t.Parallel()
	s := limited(t)
	var told rest.Settings
	s.get(t, s.reader(t), "/api/v1/settings").into(t, &told)
	require.NotNil(t, told.SeenAt)
	require.False(t, told.Silent)
	require.Equal(t, rest.Setting{
		Key: "KUBE_API_QPS", Value: "70", From: "ConfigMap penstock-settings", Default: "50", Allowed: "a whole number from 1 to 10000",
		Meaning: "requests per second to the Kubernetes API, triggers and status writes together",
	}, told.Items[0])
	require.Equal(t, "all of shop", told.Items[1].Value)
	require.Contains(t, told.Items[2].Problem, "many")

	namespace := local.NewNamespace(t)
	s.plan(t, namespace, "b1", family(namespace, "web"))
	some := s.reader(t, namespace)
	s.awaitShown(t, some)
	s.get(t, some, "/api/v1/settings").into(t, &told)
	require.Equal(t, "hidden", told.Items[1].From, "a freeze may name namespaces of others")
	require.Empty(t, told.Items[1].Value)
	require.Contains(t, s.get(t, s.nobody(t), "/api/v1/settings").detail(t, http.StatusForbidden), "may not list queue")
}

func TestSettingsOfNobodyAreNotKnown(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	require.NoError(t, s.rows.Beat(t.Context(), "worker", "replica", store.WorkerState{}))
	var told rest.Settings
	s.get(t, s.reader(t), "/api/v1/settings").into(t, &told)
	require.Equal(t, rest.Settings{Items: []rest.Setting{}}, told)
}

func TestTheSettingsPageTellsTheLimitsInForce(t *testing.T) {
	t.Parallel()
	s := limited(t)
	shown := s.browser(t, "").signIn(t, s.reader(t), "/settings")
	require.Contains(t, shown.text, "KUBE_API_QPS")
	require.Contains(t, shown.text, "ConfigMap penstock-settings")
	require.Contains(t, shown.text, "what held before")
	denied := s.browser(t, "").signIn(t, s.nobody(t), "/settings")
	require.Equal(t, http.StatusOK, denied.status, "everybody may see who they are")
	require.Contains(t, denied.text, "may not list queue")
	require.NotContains(t, denied.text, "KUBE_API_QPS")
}
