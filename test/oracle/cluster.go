package oracle

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// row is a stage as the tables have it.
type row struct {
	workflow string // namespace and name
	status   string
	identity string
}

func workflows(ctx context.Context, world World) ([]string, error) {
	table, err := readRows(ctx, world)
	if err != nil {
		return nil, err
	}
	var found []string
	seen := sightings{rows: map[int64]string{}, identities: map[string]string{}}
	for _, cluster := range world.Clusters {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "WorkflowList"})
		if err := cluster.List(ctx, list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
			return nil, fmt.Errorf("list workflows: %w", err)
		}
		for i := range list.Items {
			found = append(found, judgeWorkflow(&list.Items[i], table, seen)...)
		}
	}
	for id, row := range table {
		if _, exists := seen.rows[id]; !exists && (row.status == "Submitted" || row.status == "Running") {
			found = append(found, fmt.Sprintf("I4: row %d is %s, but its Workflow %s does not exist", id, row.status, row.workflow))
		}
	}
	slices.Sort(found)
	return found, nil
}

// sightings are the Workflows found so far, by row and by identity.
type sightings struct {
	rows       map[int64]string
	identities map[string]string
}

// judgeWorkflow looks for a Workflow's row, and whether row or identity have
// another Workflow.
func judgeWorkflow(workflow client.Object, table map[int64]row, seen sightings) []string {
	name := workflow.GetNamespace() + "/" + workflow.GetName()
	identity := workflow.GetLabels()[v1alpha1.LabelIdentity]
	var found []string
	if other, twice := seen.identities[identity]; twice {
		found = append(found, fmt.Sprintf("I2: Workflows %s and %s have one identity", other, name))
	}
	seen.identities[identity] = name
	id, err := strconv.ParseInt(workflow.GetLabels()[v1alpha1.LabelRunner], 10, 64)
	if err != nil {
		return append(found, fmt.Sprintf("I4: Workflow %s names no row", name))
	}
	if other, twice := seen.rows[id]; twice {
		found = append(found, fmt.Sprintf("I3: row %d has two Workflows, %s and %s", id, other, name))
	}
	seen.rows[id] = name
	known, exists := table[id]
	switch {
	case !exists || known.workflow != name:
		found = append(found, fmt.Sprintf("I4: Workflow %s has no row %d of that name", name, id))
	case known.identity != identity:
		found = append(found, fmt.Sprintf("I4: Workflow %s has not the identity of its row %d", name, id))
	}
	return found
}

const allRows = `SELECT r.id, w.namespace || '/' || r.workflow_name, r.status,
		a.build_uid, a.image, a.digest, w.pipeline_uid, w.run, r.stage
	FROM cd_workflow_runner r
	JOIN cd_workflow w ON w.id = r.cd_workflow_id
	JOIN ci_artifact a ON a.id = w.ci_artifact_id`

func readRows(ctx context.Context, world World) (map[int64]row, error) {
	rows, err := world.Database.Query(ctx, allRows)
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	defer rows.Close()
	table := map[int64]row{}
	for rows.Next() {
		var id int64
		var one row
		var is trigger.Identity
		err := rows.Scan(&id, &one.workflow, &one.status, &is.BuildUID, &is.Image, &is.Digest, &is.PipelineUID, &is.Run, &is.Stage)
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		one.identity = is.Hash()
		table[id] = one
	}
	return table, rows.Err()
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
