package server_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/tune"
	"github.com/penstock-cd/penstock/test/env"
)

// limited is a scene whose controller says that these limits are in force.
func limited(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, options{})
	state := store.WorkerState{Limits: []config.InForce{
		{Name: "KUBE_API_QPS", Value: "70", From: config.FromConfigMap},
		{Name: "FREEZE", Value: "all of shop", From: config.FromConfigMap},
		{Name: "KUBE_API_BURST", Value: "10", From: config.FromBefore, Refused: `KUBE_API_BURST="many": must be a whole number`},
	}, Measured: &tune.Measured{
		Inputs: tune.Inputs{Rate: 70, CallsPerTrigger: 1, Latency: 200 * time.Millisecond, FreeConnections: 7, Cores: 2},
		Now:    tune.Now{PerSecond: 12.5, Limit: 5, InFlight: 5, Waiting: 40, Verdict: "All slots are in use."},
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
	require.Equal(t, 28, told.Advice.BatchSize, "70 a second × 0.2 s × 2")
	require.Equal(t, rest.TuningBound{
		Limit: "API rate", Known: true, Allows: 28, Binds: true,
		Reasoning: "70 requests/s ÷ 1 a trigger = 70 triggers/s; × 200ms for one create = 14 in flight (Little's law); × 2 for slow ones. More makes nothing faster.",
	}, told.Advice.Bounds[0])
	require.InDelta(t, 12.5, told.Advice.Rate, 0)

	namespace := local.NewNamespace(t)
	s.plan(t, namespace, "b1", family(namespace, "web"))
	some := s.reader(t, namespace)
	s.awaitShown(t, some)
	told = rest.Settings{}
	s.get(t, some, "/api/v1/settings").into(t, &told)
	require.Nil(t, told.Advice, "the queue is that of all namespaces")
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
	require.Contains(t, shown.text, "Useful batch size: 28, bound by the limit API rate. At most 70 triggers/s.")
	require.Contains(t, shown.text, "All slots are in use.")
	denied := s.browser(t, "").signIn(t, s.nobody(t), "/settings")
	require.Equal(t, http.StatusOK, denied.status, "everybody may see who they are")
	require.Contains(t, denied.text, "may not list queue")
	require.NotContains(t, denied.text, "KUBE_API_QPS")
}

// editor returns somebody who may see the limits and change them, and their name.
func (s *scene) editor(t *testing.T) (token, user string) {
	t.Helper()
	require.NoError(t, policies())
	home, name := s.person(t)
	subject := rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}
	s.bind(t, subject, "penstock-reader")
	s.bind(t, subject, "penstock-settings-editor", env.ControllerNamespace)
	user = "system:serviceaccount:" + home + ":" + name
	s.awaitRight(t, user, authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "list", Resource: "queue"})
	s.awaitRight(t, user, authorizationv1.ResourceAttributes{Verb: "update", Resource: "configmaps", Namespace: env.ControllerNamespace, Name: config.SettingsMap})
	return s.token(home, name), user
}

// published is the ConfigMap as it is.
func (s *scene) published(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	found, err := s.kube.CoreV1().ConfigMaps(env.ControllerNamespace).Get(t.Context(), config.SettingsMap, metav1.GetOptions{})
	require.NoError(t, err)
	return found
}

// The one ConfigMap of the installation is changed by this test alone.
func TestALimitIsChangedOnTheDashboardWithTheUsersOwnToken(t *testing.T) {
	t.Parallel()
	s := limited(t)
	annsToken, annsName := s.editor(t)
	bobsToken, _ := s.editor(t)
	ann, bob := s.browser(t, ""), s.browser(t, "")
	bob.signIn(t, bobsToken, "/settings")
	address := regexp.MustCompile(`href="([^"]*/actions/change-limit[^"]*limit=KUBE_API_QPS[^"]*)"`)
	found := address.FindStringSubmatch(ann.signIn(t, annsToken, "/settings").text)
	require.NotNil(t, found)
	path := html.UnescapeString(found[1])

	asked, bobs := ann.open(t, path), bob.open(t, path)
	require.Contains(t, asked.text, "70 (ConfigMap penstock-settings)")
	refused := ann.confirm(t, asked, "value", "fast", "reason", "a burst")
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	require.Contains(t, html.UnescapeString(refused.text), `KUBE_API_QPS="fast": must be a whole number from 1 to 10000`)
	for range 2 { // the second click changes nothing
		require.Equal(t, "/settings?changed=KUBE_API_QPS", ann.confirm(t, asked, "value", "100", "reason", "a burst").address)
	}
	published := s.published(t)
	require.Equal(t, map[string]string{"KUBE_API_QPS": "100"}, published.Data)
	require.Equal(t, map[string]string{
		v1alpha1.AnnotationSettingsChange: "KUBE_API_QPS (not set) -> 100", v1alpha1.AnnotationSettingsBy: annsName, v1alpha1.AnnotationSettingsReason: "a burst",
	}, published.Annotations)

	late := bob.confirm(t, bobs, "value", "20")
	require.Equal(t, http.StatusConflict, late.status, "bob has not seen what ann wrote")
	require.Contains(t, late.text, "the limits were changed meanwhile")
	again := bob.open(t, path)
	require.Contains(t, again.text, "a burst")
	require.Equal(t, http.StatusOK, bob.confirm(t, again, "value", "").status)
	require.Empty(t, s.published(t).Data, "no value takes it out")

	elsewhere := strings.Replace(path, env.ControllerNamespace, "default", 1)
	require.NotEqual(t, path, elsewhere)
	require.NotEqual(t, http.StatusOK, ann.open(t, elsewhere).status)
	require.Equal(t, http.StatusNotFound, ann.open(t, strings.Replace(path, "KUBE_API_QPS", "LOG_LEVEL", 1)).status)
	s.deniedALimit(t, path)
}

// deniedALimit has somebody try who may see the limits alone.
func (s *scene) deniedALimit(t *testing.T, path string) {
	t.Helper()
	denied := s.browser(t, "")
	shown := denied.signIn(t, s.reader(t), "/settings")
	require.Contains(t, shown.text, "KUBE_API_QPS")
	require.NotContains(t, shown.text, "/actions/change-limit")
	for _, refused := range []page{denied.open(t, path), denied.send(t, shown, path, "nonce", "n", "value", "1")} {
		require.Equal(t, http.StatusForbidden, refused.status)
		require.Contains(t, html.UnescapeString(refused.text), "may not update configmaps of penstock-settings in namespace "+env.ControllerNamespace)
		require.Contains(t, refused.text, "penstock-settings-editor has it")
	}
	group := "editors"
	subject := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}
	s.bind(t, subject, "penstock-settings-editor", env.ControllerNamespace)
	ada := s.newClient(clientCA.issue("ada", []string{group}))
	require.Eventually(t, func() bool {
		return strings.Contains(string(s.send(t, ada, http.MethodGet, "/api/v1/settings/KUBE_API_QPS", nil).body), "a limit is changed with your own token, and you have none that the API server knows")
	}, patience, look)
}
