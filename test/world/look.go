package world

import (
	"context"
	"fmt"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/audit"
)

// Eventually waits until the state of the world is as told.
func (w *World) Eventually(what string, is func(context.Context) bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), look, Patience, true, func(ctx context.Context) (bool, error) {
		return is(ctx), nil
	})
	require.NoError(w.t, err, "never came: %s", what)
}

// Count runs a query that yields one number; -1 while the database does not answer.
func (w *World) Count(query string, args ...any) int {
	count := -1
	if err := w.Database.QueryRow(w.t.Context(), query, args...).Scan(&count); err != nil {
		return -1
	}
	return count
}

// Rows counts the tasks in a status; -1 while the database does not answer.
func (w *World) Rows(status string) int {
	return w.Count(`SELECT count(*) FROM task WHERE status = $1`, status)
}

// RowsAre waits until so many tasks are in a status.
func (w *World) RowsAre(want int, status string) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("%d tasks %s", want, status), func(context.Context) bool { return w.Rows(status) == want })
}

// Decided returns what was decided for a pipeline, as outcome/reason.
func (w *World) Decided(pipeline string) string {
	var decision string
	_ = w.Database.QueryRow(w.t.Context(),
		`SELECT outcome || '/' || reason FROM trigger_decision WHERE pipeline = $1 ORDER BY id DESC LIMIT 1`, pipeline).Scan(&decision)
	return decision
}

// DecidedIs waits until that is what was decided for a pipeline.
func (w *World) DecidedIs(pipeline, want string) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("%s decided %s", pipeline, want), func(context.Context) bool { return w.Decided(pipeline) == want })
}

// Workflows returns the Workflows that Penstock made.
func (w *World) Workflows() []wfv1.Workflow {
	w.t.Helper()
	var list wfv1.WorkflowList
	require.NoError(w.t, w.Cluster.List(w.t.Context(), &list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}))
	return list.Items
}

// MadeAre waits until Penstock has made so many Workflows, those counted that are gone.
func (w *World) MadeAre(want int) {
	w.t.Helper()
	made := 0
	w.Eventually(fmt.Sprintf("%d Workflows made", want), func(context.Context) bool {
		made, _ = w.witness.Made()
		return made >= want
	})
	require.Equal(w.t, want, made)
}

// Made returns how many Workflows Penstock has made, and the names of those made twice.
func (w *World) Made() (made int, twice []string) { return w.witness.Made() }

// Build returns a CiBuild as it is now; an empty one where there is none.
func (w *World) Build(ctx context.Context, name string) *v1alpha1.CiBuild {
	build := &v1alpha1.CiBuild{}
	if err := w.Cluster.Get(ctx, client.ObjectKey{Name: name}, build); err != nil {
		return &v1alpha1.CiBuild{}
	}
	return build
}

// Ready counts the pipelines that say that they are ready.
func (w *World) Ready(ctx context.Context) int {
	var list v1alpha1.CdPipelineList
	if err := w.Cluster.List(ctx, &list); err != nil {
		return 0
	}
	ready := 0
	for i := range list.Items {
		if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			ready++
		}
	}
	return ready
}

// Log returns the controllers' requests in this namespace so far.
func (w *World) Log() audit.Log {
	w.t.Helper()
	log, err := audit.Read(w.environment.AuditLog)
	require.NoError(w.t, err)
	return log.Penstock().In(w.Namespace)
}

// Kubectl runs kubectl in the world's namespace as a person would, and returns what it prints.
func (w *World) Kubectl(ctx context.Context, args ...string) (string, error) {
	return w.environment.Kubectl(ctx, append([]string{"-n", w.Namespace}, args...)...)
}

// KubectlTells waits until kubectl, run as a person would, prints all the words.
func (w *World) KubectlTells(command string, words ...string) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("kubectl %s tells %q", command, words), func(ctx context.Context) bool {
		printed, _ := w.Kubectl(ctx, strings.Fields(command)...)
		for _, word := range words {
			if !strings.Contains(printed, word) {
				return false
			}
		}
		return true
	})
}
