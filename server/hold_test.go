package server_test

import (
	"html"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// pipelined creates the CdPipeline web.
func (s *theatre) pipelined(t *testing.T) client.Client {
	t.Helper()
	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	pipeline := given.CdPipeline("web", given.InNamespace(s.namespace))
	pipeline.UID = ""
	require.NoError(t, cluster.Create(t.Context(), pipeline))
	return cluster
}

// web is that CdPipeline as it is.
func (s *theatre) web(t *testing.T, cluster client.Client) (pipeline v1alpha1.CdPipeline) {
	t.Helper()
	require.NoError(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "web"}, &pipeline))
	return pipeline
}

func TestAPipelineIsHeldAndReleasedOnTheDashboard(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	cluster := s.pipelined(t)
	ann, annsName := s.player(t, "penstock-holder")
	bob, bobsName := s.player(t, "penstock-holder")
	path := "/pipelines/" + s.namespace + "/web"

	asked := ann.open(t, ann.open(t, path).offers()["Hold"])
	require.False(t, s.web(t, cluster).Spec.Hold, "to look changes nothing")
	for range 2 { // the second click changes nothing
		held := ann.confirm(t, asked, "reason", "stock-taking")
		require.Equal(t, path, held.address)
		require.Contains(t, held.text, "The pipeline is held, by ")
		require.Contains(t, held.text, ": stock-taking")
		require.NotContains(t, held.offers(), "Hold")
	}
	pipeline := s.web(t, cluster)
	require.True(t, pipeline.Spec.Hold)
	require.Equal(t, annsName, pipeline.Annotations[v1alpha1.AnnotationHoldBy])
	require.Equal(t, "stock-taking", pipeline.Annotations[v1alpha1.AnnotationHoldReason])

	late := bob.open(t, asked.address)
	require.Equal(t, http.StatusConflict, late.status)
	require.Contains(t, late.text, "CdPipeline web is held, by ")
	released := bob.confirm(t, bob.open(t, bob.open(t, path).offers()["Release"]))
	require.Contains(t, released.text, "The pipeline was released, by ")
	require.Equal(t, bobsName, s.web(t, cluster).Annotations[v1alpha1.AnnotationHoldBy])
	again := ann.confirm(t, asked, "reason", "stock-taking")
	require.Equal(t, http.StatusConflict, again.status, "a form that was sent before does not hold it a second time")
	require.Contains(t, again.text, "the CdPipeline was changed meanwhile")
	require.False(t, s.web(t, cluster).Spec.Hold)

	denied, user := s.player(t, "penstock-triggerer")
	require.NotContains(t, denied.open(t, path).offers(), "Hold")
	for _, refused := range []page{denied.open(t, asked.address), denied.send(t, released, asked.address, "nonce", "n")} {
		require.Equal(t, http.StatusForbidden, refused.status)
	}
	refused := denied.open(t, asked.address)
	require.Contains(t, html.UnescapeString(refused.text), `user "`+user+`" may not patch cdpipelines.penstock.dev of web in namespace `+s.namespace)
	require.Contains(t, refused.text, "penstock-holder has it")
}

func TestAHoldIsSetWithTheCallersOwnTokenAlone(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	cluster := s.pipelined(t)
	path := "/api/v1/namespaces/" + s.namespace + "/pipelines/web/hold"
	home, name := s.person(t)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, "penstock-holder", s.namespace)
	token := s.token(home, name)
	require.Eventually(t, func() bool { return s.get(t, token, path).status == http.StatusOK }, patience, look)
	var hold rest.Hold
	s.post(t, token, path, `{"hold":true,"reason":"stock-taking","generation":1}`).into(t, &hold)
	require.Equal(t, rest.Hold{Hold: true, By: "system:serviceaccount:" + home + ":" + name, Reason: "stock-taking", Generation: 2}, hold)
	var read rest.Hold
	s.get(t, token, path).into(t, &read)
	require.Equal(t, hold, read)
	require.Contains(t, s.post(t, token, path, `{"hold":false,"generation":1}`).detail(t, http.StatusConflict), "changed meanwhile")
	require.Equal(t, http.StatusNotFound, s.get(t, token, "/api/v1/namespaces/"+s.namespace+"/pipelines/none/hold").status)

	group := "holders-of-" + s.namespace
	s.bind(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}, "penstock-holder", s.namespace)
	ada := s.newClient(clientCA.issue("ada", []string{group}))
	require.Eventually(t, func() bool {
		return s.send(t, ada, http.MethodGet, path, nil).detail(t, http.StatusForbidden) == "a CdPipeline is changed with your own token, and you have none that the API server knows: use kubectl penstock hold or release"
	}, patience, look)
	require.True(t, s.web(t, cluster).Spec.Hold)
}
