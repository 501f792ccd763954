package oracle

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// statusDelay is how long a status may be behind the rows.
const statusDelay = 3 * time.Second

// lateStatuses returns what CiBuilds and CdPipelines tell that is not what the rows
// say, and does not become so soon.
func lateStatuses(ctx context.Context, world World) ([]string, error) {
	var found []string
	late := time.Now().Add(statusDelay)
	err := wait.PollUntilContextCancel(ctx, quiescePoll, true, func(ctx context.Context) (done bool, err error) {
		found, err = statuses(ctx, world)
		return len(found) == 0 || time.Now().After(late), err
	})
	return found, err
}

// statuses returns what CiBuilds and CdPipelines tell that is not what the rows say
// now.
func statuses(ctx context.Context, world World) ([]string, error) {
	counts, err := readRuns(ctx, world.Database, "")
	if err != nil {
		return nil, err
	}
	newest, err := readLastRuns(ctx, world.Database)
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
			if counted, planned := counts[string(objects.builds[i].UID)]; planned {
				found = append(found, judgeBuild(&objects.builds[i], counted)...)
			}
		}
		for i := range objects.pipelines {
			run, ran := newest[string(objects.pipelines[i].UID)]
			found = append(found, judgePipeline(&objects.pipelines[i], run, ran)...)
		}
	}
	return found, nil
}

func judgeBuild(build *v1alpha1.CiBuild, counted runs) []string {
	want := v1alpha1.TriggerSummary{
		Total: counted.Total, Pending: counted.Pending, Submitted: counted.Submitted, Running: counted.Running,
		Succeeded: counted.Succeeded, Failed: counted.Failed, Skipped: counted.Skipped,
		Progress: fmt.Sprintf("%d/%d", counted.Created, counted.Total),
	}
	if build.Status.Triggers == nil {
		return []string{fmt.Sprintf("I7: CiBuild %s tells nothing of its runs, the rows say %+v", build.Name, want)}
	}
	var found []string
	if *build.Status.Triggers != want {
		found = append(found, fmt.Sprintf("I7: CiBuild %s tells %+v, the rows say %+v", build.Name, *build.Status.Triggers, want))
	}
	for _, kind := range []string{v1alpha1.ConditionComplete, v1alpha1.ConditionPlanned} {
		if !meta.IsStatusConditionTrue(build.Status.Conditions, kind) {
			found = append(found, fmt.Sprintf("I7: CiBuild %s is planned, but its condition %s is not True", build.Name, kind))
		}
	}
	triggered := meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionTriggered)
	if want := counted.Created == counted.Total && build.Status.Phase == v1alpha1.BuildSucceeded; triggered != want {
		found = append(found, fmt.Sprintf("I7: the condition Triggered of CiBuild %s is %t, with %d of %d runs that have a Workflow", build.Name, triggered, counted.Created, counted.Total))
	}
	return found
}

func judgePipeline(pipeline *v1alpha1.CdPipeline, run lastRun, ran bool) []string {
	told := pipeline.Status.LastRun
	switch {
	case told == nil && !ran:
		return nil
	case told == nil:
		return []string{fmt.Sprintf("I7: CdPipeline %s tells of no run, the rows have %+v", pipeline.Name, run)}
	case !ran:
		return []string{fmt.Sprintf("I7: CdPipeline %s tells of a run for build %s, the rows have none", pipeline.Name, told.BuildName)}
	}
	run.PipelineUID = ""
	if got := toldRun(told); got != run {
		return []string{fmt.Sprintf("I7: CdPipeline %s tells of %+v, the rows have %+v", pipeline.Name, got, run)}
	}
	return nil
}

func toldRun(told *v1alpha1.LastRun) lastRun {
	return lastRun{BuildName: told.BuildName, Image: told.Image, Digest: told.Digest, Stage: told.Stage, Status: told.Phase}
}
