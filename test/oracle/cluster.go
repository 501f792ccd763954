package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// nameDigits are how many of an identity's characters its Workflow's name ends with.
const nameDigits = 16

// completedLabel is what Argo gives a Workflow that has ended.
const completedLabel = "workflows.argoproj.io/completed"

// queued is a task as the table has it.
type queued struct {
	ID       int64
	Workflow string // namespace and name
	UID      string
	Identity string
	Status   string
}

const allTasks = `SELECT id, namespace || '/' || workflow_name AS workflow, workflow_uid AS uid, identity, status FROM task`

// workflows compares the Workflows that exist with the tasks, in both directions.
func workflows(ctx context.Context, world World) ([]string, error) {
	rows, err := world.Database.Query(ctx, allTasks)
	if err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[queued])
	if err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	byName := make(map[string]queued, len(tasks))
	for _, task := range tasks {
		byName[task.Workflow] = task
	}
	var found []string
	seen := map[int64]bool{}
	for _, cluster := range world.Clusters {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "WorkflowList"})
		if err := cluster.List(ctx, list); err != nil {
			return nil, fmt.Errorf("list workflows: %w", err)
		}
		for i := range list.Items {
			found = append(found, judgeWorkflow(&list.Items[i], byName, seen)...)
		}
	}
	for _, task := range tasks {
		if !seen[task.ID] && (task.Status == "Submitted" || task.Status == "Running") {
			found = append(found, fmt.Sprintf("I4: task %d is %s, but its Workflow %s does not exist", task.ID, task.Status, task.Workflow))
		}
	}
	slices.Sort(found)
	return found, nil
}

// judgeWorkflow looks for the task of a Workflow, and whether that has another one. A
// Workflow is a task's by its name and its UID, or its whole identity: one that merely has
// the wanted name is somebody else's, whatever labels it wears.
func judgeWorkflow(workflow client.Object, tasks map[string]queued, seen map[int64]bool) []string {
	name := workflow.GetNamespace() + "/" + workflow.GetName()
	identity, uid := workflow.GetLabels()[v1alpha1.LabelIdentity], string(workflow.GetUID())
	task, exists := tasks[name]
	isTheirs := exists && (identity == task.Identity || (task.UID != "" && task.UID == uid))
	switch {
	case !exists && len(identity) >= nameDigits && strings.HasSuffix(name, "-"+identity[:nameDigits]): // a copy has another name
		return []string{fmt.Sprintf("I4: Workflow %s carries an identity, but no task wants it", name)}
	case !isTheirs:
		return nil
	case seen[task.ID]:
		return []string{fmt.Sprintf("I3: task %d has two Workflows %s", task.ID, name)}
	case task.UID != "" && task.UID != uid:
		return []string{fmt.Sprintf("I3: Workflow %s is another than the one that task %d has made", name, task.ID)}
	}
	seen[task.ID] = true
	goesOn := workflow.GetLabels()[completedLabel] != "true" && workflow.GetDeletionTimestamp() == nil
	if goesOn && !isUnderWay(task.Status) {
		return []string{fmt.Sprintf("I4: Workflow %s goes on, but its task %d is %s", name, task.ID, task.Status)}
	}
	return nil
}

// creates counts how often each Workflow was made.
func creates(_ context.Context, world World) ([]string, error) {
	made := map[string]int{}
	var found []string
	for _, event := range world.Log.Creates() {
		name := event.Namespace + "/" + event.Name
		if made[name]++; made[name] == 2 {
			found = append(found, fmt.Sprintf("I3: Workflow %s was made more than once", name))
		}
	}
	return found, nil
}
