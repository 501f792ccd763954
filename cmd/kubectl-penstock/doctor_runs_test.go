package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// runsIn is what a cluster is asked for pipelines of namespace shop.
func runsIn(t *testing.T, server *target.Server) *runsThere {
	t.Helper()
	config, err := fleet.Parse(server.Kubeconfig(t))
	require.NoError(t, err)
	reached, err := fleet.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(reached.Close)
	return &runsThere{cluster: "eu-1", reached: reached, namespaces: map[string]*neededIn{"shop": {
		templates: map[v1alpha1.TemplateReference]bool{{Name: "deploy"}: true, {Name: "shared", ClusterScope: true}: true},
		accounts:  map[string]bool{"deployer": true},
	}}}
}

func TestDoctorAsksAClusterWhatRunsNeed(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	there := runsIn(t, server)
	require.Equal(t, doctor.OK, rightsForRuns(t.Context(), there).Status)
	server.Deny("workflows")
	lacks := rightsForRuns(t.Context(), there)
	require.Equal(t, doctor.Fail, lacks.Status)
	require.Contains(t, lacks.Message, "Penstock may not")
	require.Contains(t, lacks.Message, "in namespace shop")
	require.Contains(t, lacks.Fix, "config/target/runs")

	missing := namespacesForRuns(t.Context(), there)
	require.Equal(t, doctor.Fail, missing.Status)
	require.Equal(t, "a namespace of its pipelines does not exist in eu-1: shop", missing.Message)
	server.Handle("/api/v1/namespaces/shop", target.JSON(map[string]any{}))
	require.Equal(t, doctor.OK, namespacesForRuns(t.Context(), there).Status)

	server.Handle("/apis/argoproj.io/v1alpha1/namespaces/shop/workflowtemplates/deploy", target.JSON(map[string]any{}))
	missing = templatesForRuns(t.Context(), there)
	require.Equal(t, doctor.Fail, missing.Status)
	require.Equal(t, "a template of its pipelines does not exist in eu-1: ClusterWorkflowTemplate shared", missing.Message)

	server.Handle("/api/v1/namespaces/shop/serviceaccounts/deployer", target.Status(http.StatusForbidden))
	hidden := accountsForRuns(t.Context(), there)
	require.Equal(t, doctor.Warn, hidden.Status)
	require.Contains(t, hidden.Message, "Penstock may not read whether a service account of its pipelines exists in eu-1: shop/deployer")
	there.namespaces["shop"].accounts = nil
	require.Equal(t, doctor.OK, accountsForRuns(t.Context(), there).Status)
}

func TestDoctorFindsThePipelinesOfAClusterAndItsCredentials(t *testing.T) {
	t.Parallel()
	_, err := running()
	require.NoError(t, err)
	server, admin := target.New(t), plugin{kubeconfig: local.Kubeconfig}
	namespace := local.NewNamespace(t)
	name := "runs-" + namespace
	addCluster(t, name, server.Kubeconfig(t))
	_, out, _ := admin.run(t, "doctor", name, "-o", "json")
	require.Equal(t, "no pipeline has it as its clusterRef", findingsOf(t, out)["templates for runs"].Message)

	client, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	require.NoError(t, client.Create(t.Context(), given.CdPipeline("far", given.InNamespace(namespace), given.RunsIn(name))))
	code, out, _ := admin.run(t, "doctor", name, "-o", "json")
	require.Equal(t, exitFailed, code)
	found := findingsOf(t, out)
	require.Equal(t, "a namespace of its pipelines does not exist in "+name+": "+namespace, found["namespaces for runs"].Message)
	require.Equal(t, "a template of its pipelines does not exist in "+name+": WorkflowTemplate "+namespace+"/"+given.Template, found["templates for runs"].Message)
	require.Equal(t, doctor.OK, found["rights for runs"].Status, found["rights for runs"].Message)
	server.Accept("another")
	_, out, _ = admin.run(t, "doctor", name, "-o", "json")
	require.Contains(t, findingsOf(t, out)["rights for runs"].Message, "refuses the credentials")
	require.NotContains(t, out, target.Token)
}
