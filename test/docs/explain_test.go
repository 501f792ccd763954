package docs

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// office stands for the namespace shop of the page, which is another page's.
const office = "explained"

// What the page explains exists: the build checkout-42, whose run in checkout-staging is 812.
func TestEveryCommandOfTheExplainPageRuns(t *testing.T) {
	r := newReader(t, "explain.md")
	require.NoError(t, local.InstallServer(t.Context()))
	url := local.NewDatabase(t)
	explained(t, url)
	server, err := local.StartServer(t.Context(), env.ServerOptions{DatabaseURL: url, Name: "explain-server"})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	r.run(t, command{language: "console", text: "kubectl create namespace " + office + " && kubectl apply -k config/crd"})
	for _, object := range given.Copies(given.CiPipeline("checkout"), given.CdPipeline("checkout-staging", given.BelowCi("checkout")), given.CiBuild("checkout-42")) {
		if build, is := object.(*v1alpha1.CiBuild); is {
			build.Spec.PipelineRef.Name = "checkout"
		}
		object.SetNamespace(office)
		object.SetUID("")
		cluster, err := local.NewClient(env.Admin)
		require.NoError(t, err)
		require.NoError(t, cluster.Create(t.Context(), object))
		t.Cleanup(func() { require.NoError(t, cluster.Delete(context.Background(), object)) })
	}
	commands := commandsOf(t, strings.ReplaceAll(r.text(t), "-n shop", "-n "+office))
	require.GreaterOrEqual(t, len(commands), 6)
	for _, command := range commands {
		require.Empty(t, command.notRun)
		r.run(t, command)
	}
}

// explained writes what the controller writes for the build of the page.
func explained(t *testing.T, url string) {
	t.Helper()
	config := store.Config{URL: url, Schema: "penstock", MaxConns: 2}
	require.NoError(t, store.Migrate(t.Context(), config))
	rows, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	defer rows.Close()
	_, err = rows.Pool().Exec(t.Context(), "ALTER TABLE penstock.cd_workflow ALTER COLUMN id RESTART WITH 812")
	require.NoError(t, err)
	family := given.FamilyOf(
		given.CdPipeline("checkout-staging", given.InNamespace(office), given.BelowCi("checkout")),
		given.CdPipeline("checkout-production", given.InNamespace(office), given.BelowCd("checkout-staging")))
	build := given.Build("checkout-42")
	build.Namespace, build.CiPipeline = office, "checkout"
	var mirrored []store.MirroredCdPipeline
	for i := range family {
		parent := family[i].Spec.ParentRef
		mirrored = append(mirrored, store.MirroredCdPipeline{
			UID: string(family[i].UID), Namespace: office, Name: family[i].Name, ParentKind: string(parent.Kind), ParentName: parent.Name, SpecHash: "1",
		})
	}
	require.NoError(t, rows.MirrorCdPipelines(t.Context(), mirrored))
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	decisions := trigger.Decider{Filters: filters}.Build(build, given.CiPipeline("checkout"), given.Artifacts(1), family)
	planned, err := rows.Plan(t.Context(), store.BuildPlan{Build: build, Artifacts: given.Artifacts(1), Decisions: decisions})
	require.NoError(t, err)
	require.True(t, planned)
}
