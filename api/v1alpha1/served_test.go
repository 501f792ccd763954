package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

func TestEveryKindHasAShortNameAndACategory(t *testing.T) {
	t.Parallel()
	server, err := discovery.NewDiscoveryClientForConfig(local.Config)
	require.NoError(t, err)
	resources, err := server.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	require.NoError(t, err)
	found := map[string]metav1.APIResource{}
	for _, resource := range resources.APIResources {
		found[resource.Name] = resource
	}
	for name, short := range map[string]string{
		"cipipelines": "cip", "cibuilds": "cib", "cdpipelines": "cdp", "runrequests": "rr", "targetclusters": "tc",
		"notificationchannels": "nch", "notificationpolicies": "npol", "baseimages": "bi", "receivers": "rcv",
	} {
		require.Equal(t, []string{short}, found[name].ShortNames, name)
		require.Equal(t, []string{"penstock"}, found[name].Categories, name)
		require.Equal(t, name != "targetclusters", found[name].Namespaced, name)
	}
	require.Contains(t, found, "cibuilds/status")
	require.Contains(t, found, "cdpipelines/status")
	require.Contains(t, found, "runrequests/status")
	require.Contains(t, found, "targetclusters/status")
	require.Contains(t, found, "notificationchannels/status")
	require.Contains(t, found, "notificationpolicies/status")
	require.Contains(t, found, "baseimages/status")
	require.Contains(t, found, "receivers/status")
}

// table is what `kubectl get` prints, with its columns of lower priority left out
// as without -o wide. The age differs from call to call and is left out too.
func table(t *testing.T, p place, resource string) string {
	t.Helper()
	return tableAt(t, "", "namespaces", p.namespace, resource)
}

// clusterTable is the same of TargetClusters, which are in no namespace.
func clusterTable(t *testing.T, selector string) string {
	t.Helper()
	return tableAt(t, selector, "targetclusters")
}

func tableAt(t *testing.T, selector string, path ...string) string {
	t.Helper()
	server, err := discovery.NewDiscoveryClientForConfig(local.Config)
	require.NoError(t, err)
	text, err := server.RESTClient().Get().
		AbsPath(append([]string{"apis", v1alpha1.GroupVersion.Group, v1alpha1.GroupVersion.Version}, path...)...).
		Param("labelSelector", selector).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
		DoRaw(t.Context())
	require.NoError(t, err)
	var got metav1.Table
	require.NoError(t, json.Unmarshal(text, &got))
	var lines []string
	lines = append(lines, row(got.ColumnDefinitions, func(i int) any { return got.ColumnDefinitions[i].Name }))
	for _, one := range got.Rows {
		lines = append(lines, row(got.ColumnDefinitions, func(i int) any { return one.Cells[i] }))
	}
	return strings.Join(lines, "\n")
}

func row(columns []metav1.TableColumnDefinition, cell func(int) any) string {
	var cells []string
	for i, column := range columns {
		if column.Priority > 0 || column.Name == "Age" {
			continue
		}
		text := "-"
		if value := cell(i); value != nil && value != "" {
			text = fmt.Sprint(value)
		}
		cells = append(cells, text)
	}
	return strings.Join(cells, " | ")
}

func TestATableTellsHowABuildIsDoing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	build := given.CiBuild("b1")
	require.NoError(t, p.create(t, build))
	require.Equal(t, "Name | Pipeline | Phase | Image | Runs | Triggered | Waiting | Running | Failed\nb1 | ci | Pending | - | - | - | - | - | -", table(t, p, "cibuilds"))
	require.NoError(t, p.patchStatus(t, build, finished(given.Artifacts(2))))
	require.NoError(t, p.patchStatus(t, build,
		`{"status":{"triggers":{"total":4,"pending":1,"submitted":2,"running":0,"succeeded":0,"failed":1,"waiting":1,"active":2,"skipped":0,"progress":"3/4"},`+
			`"conditions":[{"type":"Finished","status":"False","reason":"RunsFailed","message":"","lastTransitionTime":"2026-01-01T03:04:05Z"}]}}`))
	require.Equal(t, "Name | Pipeline | Phase | Image | Runs | Triggered | Waiting | Running | Failed\n"+
		"b1 | ci | Succeeded | "+given.Artifact(0).Image+" | RunsFailed | 3/4 | 1 | 2 | 1",
		table(t, p, "cibuilds"))
}

func TestATableTellsHowAPipelineIsDoing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pipeline := given.CdPipeline("web", given.Manual, func(p *v1alpha1.CdPipeline) {
		p.Spec.Application, p.Spec.Environment = "shop", "staging"
	})
	require.NoError(t, p.create(t, pipeline))
	require.NoError(t, p.patchStatus(t, pipeline, `{"status":{"lastRun":{"buildName":"b1","image":"i","digest":"d",`+
		`"stage":"DEPLOY","phase":"Held","at":"`+time.Now().UTC().Add(-26*time.Hour).Format(time.RFC3339)+`"},`+
		`"conditions":[{"type":"Triggered","status":"False","reason":"Person","message":"","lastTransitionTime":"2026-01-01T03:04:05Z"}],`+
		`"deployed":[{"image":"new","digest":"d","buildName":"b0","at":"`+time.Now().UTC().Add(-49*time.Hour).Format(time.RFC3339)+`"},`+
		`{"image":"old","digest":"d","buildName":"b0","at":"2026-01-01T03:04:04Z"}]}}`))
	require.Equal(t, "Name | Environment | Parent | Ready | Triggered | Last Phase | Changed | Deployed | Since\n"+
		"web | staging | ci | - | Person | Held | 26h | new | 2d1h", table(t, p, "cdpipelines"))
}

func TestATableTellsWhatARequestAskedForAndWhatCameOfIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	request := given.RunRequest("again", v1alpha1.ActionRetry, given.OfPipeline("web"), given.OfBuild("b1"))
	require.NoError(t, p.create(t, request))
	require.Equal(t, "Name | Action | Pipeline | Build | Phase | Run\nagain | Retry | web | b1 | - | -", table(t, p, "runrequests"))
	require.NoError(t, p.patchStatus(t, request, `{"status":{"phase":"Done","run":7,"message":"made run 7","at":"2026-01-02T03:04:05Z"}}`))
	require.Equal(t, "Name | Action | Pipeline | Build | Phase | Run\nagain | Retry | web | b1 | Done | 7", table(t, p, "runrequests"))
}
