package oracle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// chains judges the runs by their pipelines: whether they have all stages, and whether
// their end was decided on below. Pipelines count that are as they were created.
func chains(ctx context.Context, world World) ([]string, error) {
	var found []string
	for _, cluster := range world.Clusters {
		objects, err := readObjects(ctx, cluster)
		if err != nil {
			return nil, err
		}
		var unchanged []v1alpha1.CdPipeline
		for _, pipeline := range objects.pipelines {
			if pipeline.Generation <= 1 && pipeline.DeletionTimestamp.IsZero() {
				unchanged = append(unchanged, pipeline)
			}
		}
		for _, look := range []func(context.Context, World, []v1alpha1.CdPipeline) ([]string, error){stages, descents} {
			sentences, err := look(ctx, world, unchanged)
			if err != nil {
				return nil, err
			}
			found = append(found, sentences...)
		}
	}
	return found, nil
}

// allStages are the stages of runs, of those that are equal one.
const allStages = `
SELECT DISTINCT pipeline_uid, pipeline, requested, stages FROM (
	SELECT w.pipeline_uid, w.pipeline, n.request <> '' AS requested, array_agg(r.stage ORDER BY r.id) AS stages
	FROM cd_workflow w
	JOIN turn n ON n.id = w.turn_id
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
	WHERE w.whole
	GROUP BY w.id, w.pipeline_uid, w.pipeline, n.request) runs`

// stages wants every run to have all the stages of its pipeline, or, where a person asked
// for it, the last of them.
func stages(ctx context.Context, world World, pipelines []v1alpha1.CdPipeline) ([]string, error) {
	want := map[string][]string{}
	for i := range pipelines {
		for _, stage := range trigger.Stages(&pipelines[i], "") {
			uid := string(pipelines[i].UID)
			want[uid] = append(want[uid], string(stage))
		}
	}
	rows, err := world.Database.Query(ctx, allStages)
	if err != nil {
		return nil, fmt.Errorf("read stages: %w", err)
	}
	var found []string
	var uid, name string
	var requested bool
	var have []string
	_, err = pgx.ForEachRow(rows, []any{&uid, &name, &requested, &have}, func() error {
		all := want[uid]
		if requested && len(have) < len(all) {
			all = all[len(all)-len(have):]
		}
		if all != nil && !slices.Equal(have, all) {
			found = append(found, fmt.Sprintf("I1: a run of CdPipeline %s has the stages %v, want %v", name, have, all))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read stages: %w", err)
	}
	return found, nil
}

// The children are given as arrays: their UIDs, creation times and parents' UIDs.
const below = `(SELECT unnest($1::text[]) AS uid, unnest($2::text[]) AS name, unnest($3::timestamptz[]) AS created, unnest($4::text[]) AS parent) c`

// waitsInVain finds decisions that wait for a parent that has no run under way for the
// artifact, and that does not wait itself.
const waitsInVain = `
SELECT DISTINCT 'I1: build ' || d.build_name || ' waits in CdPipeline ' || c.name || ' for a parent that does not run'
FROM ` + below + `
JOIN trigger_decision d ON d.pipeline_uid = c.uid AND d.outcome = 'Waiting'
WHERE NOT EXISTS (SELECT FROM cd_workflow w WHERE w.pipeline_uid = c.parent AND w.build_uid = d.build_uid AND w.outcome IS NULL)
	AND NOT EXISTS (SELECT FROM trigger_decision p
		WHERE p.pipeline_uid = c.parent AND p.build_uid = d.build_uid AND p.image = d.image AND p.digest = d.digest AND p.outcome = 'Waiting')
ORDER BY 1`

// undescended finds runs that have succeeded and whose pipeline has a child without a
// decision, or with one that waits.
var undescended = `
SELECT DISTINCT 'I1: build ' || d.build_name || ' has succeeded in the parent of CdPipeline ' || c.name || ', and there is ' ||
	COALESCE('Waiting/' || n.reason, 'nothing decided')
FROM ` + below + `
JOIN cd_workflow w ON w.pipeline_uid = c.parent AND w.outcome = 'Succeeded' AND w.descends AND w.created_at > c.created + interval '1 s'
JOIN ci_artifact a ON a.id = w.ci_artifact_id
JOIN trigger_decision d ON d.outcome = 'Triggered' AND ` + covers + `
LEFT JOIN trigger_decision n ON n.build_uid = d.build_uid AND n.pipeline_uid = c.uid AND n.image = d.image AND n.digest = d.digest
WHERE COALESCE(n.outcome, 'Waiting') = 'Waiting'
ORDER BY 1`

// descents wants nothing to wait below a parent that has come to its end.
func descents(ctx context.Context, world World, pipelines []v1alpha1.CdPipeline) ([]string, error) {
	parents := map[client.ObjectKey]string{}
	for i := range pipelines {
		parents[client.ObjectKeyFromObject(&pipelines[i])] = string(pipelines[i].UID)
	}
	var uids, names, of []string
	var created []time.Time
	for i := range pipelines {
		child := &pipelines[i]
		parent, exists := parents[client.ObjectKey{Namespace: child.Namespace, Name: child.Spec.ParentRef.Name}]
		if child.Spec.ParentRef.Kind != v1alpha1.ParentCdPipeline || !exists {
			continue
		}
		uids, names, of = append(uids, string(child.UID)), append(names, child.Name), append(of, parent)
		created = append(created, child.CreationTimestamp.Time)
	}
	if len(uids) == 0 {
		return nil, nil
	}
	var found []string
	for _, query := range []string{waitsInVain, undescended} {
		sentences, err := texts(ctx, world, query, uids, names, created, of)
		if err != nil {
			return nil, fmt.Errorf("look below parents: %w", err)
		}
		found = append(found, sentences...)
	}
	return found, nil
}
