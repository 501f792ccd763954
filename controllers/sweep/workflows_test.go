package sweep

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env/fault"
)

// table is rows that are quiet, and what the tracker was told of them.
type table struct {
	rows    []store.Active
	told    []string
	orphans []string // names of Workflows whose task has ended without them
	retried []string // names of those whose task has ended with them
	adopted []store.Adoption
	known   bool // that the run to adopt is there
}

func (t *table) StaleActive(_ context.Context, _ time.Duration, after int64, most int) ([]store.Active, error) {
	from := slices.IndexFunc(t.rows, func(row store.Active) bool { return row.ID > after })
	if from < 0 {
		return nil, nil
	}
	return t.rows[from:min(len(t.rows), from+most)], nil
}

func (t *table) Found(identity string, workflow client.Object) {
	t.told = append(t.told, workflow.GetName()+" "+workflow.GetLabels()["workflows.argoproj.io/phase"])
}

func (t *table) Gone(row store.Active) { t.told = append(t.told, row.WorkflowName+" gone") }

// bench is a sweeper, its rows, a namespace of Workflows, and the proxy that it asks
// through.
type bench struct {
	*Sweeper
	*table
	t         *testing.T
	namespace string
	cluster   client.Client
	proxy     *fault.APIServer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, wfv1.AddToScheme(scheme))
	cluster, err := client.New(local.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	through, err := client.New(proxy.Through(local.Config), client.Options{Scheme: scheme})
	require.NoError(t, err)
	rows := &table{}
	return &bench{
		Sweeper: New(Config{Live: through, Rows: rows, Tracker: rows}), table: rows,
		t: t, namespace: local.NewNamespace(t), cluster: cluster, proxy: proxy,
	}
}

// row adds a row that wants a Workflow of this name.
func (b *bench) row(name string) {
	b.rows = append(b.rows, store.Active{ID: int64(len(b.rows) + 1), Namespace: b.namespace, WorkflowName: name})
}

// workflow creates one as Argo labels it.
func (b *bench) workflow(name, phase string) {
	b.t.Helper()
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, "workflows.argoproj.io/phase": phase}
	if phase == "Succeeded" {
		labels["workflows.argoproj.io/completed"] = "true"
	}
	object := &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name, Labels: labels}}
	require.NoError(b.t, b.cluster.Create(b.t.Context(), object))
}

// sweep returns what the tracker is told by one sweep.
func (b *bench) sweep() []string {
	b.t.Helper()
	b.told = nil
	require.NoError(b.t, b.findWorkflows(b.t.Context()))
	slices.Sort(b.told)
	return b.told
}

// asked is how often the API server was asked for each verb.
func (b *bench) asked() map[string]int {
	verbs := map[string]int{}
	for _, request := range b.proxy.Requests() {
		if request.Resource == "workflows" {
			verbs[request.Verb]++
		}
	}
	return verbs
}

func TestASweepTellsWhereEachQuietRowsWorkflowIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"new", "runs", "ended"} {
		b.row(name)
	}
	b.workflow("new", "")
	b.workflow("runs", "Running")
	b.workflow("ended", "Succeeded")
	b.workflow("ended-long-ago", "Succeeded")
	require.Equal(t, []string{"ended Succeeded", "new ", "runs Running"}, b.sweep())
}

func TestUnfinishedWorkflowsCostOneRequestForEachPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const all = pageSize + 1
	for i := range all {
		name := fmt.Sprintf("w-%04d", i)
		b.row(name)
		b.workflow(name, "Running")
	}
	require.Len(t, b.sweep(), all)
	require.Equal(t, map[string]int{"list": 2}, b.asked())
}

func TestARowIsGivenUpAtTheSecondSweepInARowThatFindsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.row("lost")
	require.Empty(t, b.sweep())
	b.workflow("lost", "Succeeded")
	require.Equal(t, []string{"lost Succeeded"}, b.sweep())
	require.NoError(t, b.cluster.Delete(t.Context(), &wfv1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "lost"}}))
	require.Empty(t, b.sweep(), "it is the first again")
	require.Equal(t, []string{"lost gone"}, b.sweep())
}

func TestASweepThatFailsGivesNobodyUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.row("lost")
	b.proxy.Break(fault.Share(1, fault.InternalError))
	require.Error(t, b.findWorkflows(t.Context()))
	b.proxy.Break(nil)
	require.Empty(t, b.sweep())
	b.proxy.Break(fault.Share(1, fault.InternalError))
	require.Error(t, b.findWorkflows(t.Context()))
	require.Empty(t, b.told)
	b.proxy.Break(nil)
	require.Equal(t, []string{"lost gone"}, b.sweep())
}

func TestNothingQuietCostsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.Empty(t, b.sweep())
	require.Empty(t, b.asked())
}
