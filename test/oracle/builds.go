package oracle

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// plan is what was planned of a build.
type plan struct {
	UID       string
	At        time.Time
	Artifacts int
	// Decided is how many decisions each pipeline has, by UID.
	Decided map[types.UID]int
}

const allPlans = `SELECT b.build_uid AS uid, b.planned_at AS at,
		(SELECT count(*) FROM ci_artifact a WHERE a.build_uid = b.build_uid) AS artifacts,
		(SELECT COALESCE(json_object_agg(pipeline_uid, n), '{}') FROM (
			SELECT pipeline_uid, count(*) AS n FROM trigger_decision d WHERE d.build_uid = b.build_uid GROUP BY 1) d) AS decided
	FROM ci_build b WHERE b.planned_at IS NOT NULL`

func readPlans(ctx context.Context, world World) (map[string]plan, error) {
	rows, err := world.Database.Query(ctx, allPlans)
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[plan])
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	plans := make(map[string]plan, len(list))
	for _, one := range list {
		plans[one.UID] = one
	}
	return plans, nil
}

// builds looks, for every build that has ended, for its rows, and for the decision
// on each child.
func builds(ctx context.Context, world World) ([]string, error) {
	plans, err := readPlans(ctx, world)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, cluster := range world.Clusters {
		objects, err := readObjects(ctx, cluster)
		if err != nil {
			return nil, err
		}
		for i := range objects.builds {
			build := &objects.builds[i]
			plan, exists := plans[string(build.UID)]
			if exists {
				found = append(found, undecided(build, plan, objects.pipelines)...)
				continue
			}
			if meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionPlanned) {
				found = append(found, fmt.Sprintf("I1: CiBuild %s says Planned, but has no plan", build.Name))
			} else if objects.awaitsPlan(build) {
				found = append(found, fmt.Sprintf("I1: CiBuild %s has ended as %s, but was not planned", build.Name, build.Status.Phase))
			}
		}
	}
	return found, nil
}

// undecided names the children that the build's plan says nothing about. A child
// counts that was there, as it is now, before the plan was made; the API server
// tells its age in seconds.
func undecided(build *v1alpha1.CiBuild, plan plan, pipelines []v1alpha1.CdPipeline) []string {
	var found []string
	parent := v1alpha1.ParentReference{Kind: v1alpha1.ParentCiPipeline, Name: build.Spec.PipelineRef.Name}
	want := max(plan.Artifacts, 1)
	for i := range pipelines {
		child := &pipelines[i]
		older := child.CreationTimestamp.Add(time.Second).Before(plan.At)
		if child.Namespace != build.Namespace || child.Spec.ParentRef != parent || child.Generation > 1 || !older {
			continue
		}
		if got := plan.Decided[child.UID]; got != want {
			found = append(found, fmt.Sprintf("I1: CiBuild %s has %d decisions on CdPipeline %s, want %d", build.Name, got, child.Name, want))
		}
	}
	return found
}

// objects are ours on one API server.
type objects struct {
	builds    []v1alpha1.CiBuild
	pipelines []v1alpha1.CdPipeline
	parents   map[types.NamespacedName]bool
}

func readObjects(ctx context.Context, cluster client.Reader) (*objects, error) {
	var builds v1alpha1.CiBuildList
	if err := cluster.List(ctx, &builds); err != nil {
		return nil, fmt.Errorf("list CiBuilds: %w", err)
	}
	var parents v1alpha1.CiPipelineList
	if err := cluster.List(ctx, &parents); err != nil {
		return nil, fmt.Errorf("list CiPipelines: %w", err)
	}
	var pipelines v1alpha1.CdPipelineList
	if err := cluster.List(ctx, &pipelines); err != nil {
		return nil, fmt.Errorf("list CdPipelines: %w", err)
	}
	known := make(map[types.NamespacedName]bool, len(parents.Items))
	for i := range parents.Items {
		known[client.ObjectKeyFromObject(&parents.Items[i])] = true
	}
	return &objects{builds: builds.Items, pipelines: pipelines.Items, parents: known}, nil
}

// awaitsPlan tells whether the build has ended and must be planned: it is not about
// to go, its CiPipeline exists, and its rows are not known to be lost.
func (o *objects) awaitsPlan(build *v1alpha1.CiBuild) bool {
	planned := meta.FindStatusCondition(build.Status.Conditions, v1alpha1.ConditionPlanned)
	lost := planned != nil && planned.Reason == string(v1alpha1.ReasonRecordsLost)
	parent := types.NamespacedName{Namespace: build.Namespace, Name: build.Spec.PipelineRef.Name}
	return build.Status.Phase.IsTerminal() && build.DeletionTimestamp.IsZero() && o.parents[parent] && !lost
}
