package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	counts, err := readRuns(ctx, world.Database, "", newestRuns)
	if err != nil {
		return nil, err
	}
	wanted, err := readTold(ctx, world.Database)
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
			want := wanted[string(objects.pipelines[i].UID)]
			if world.Restored && len(want.Deployed) == 0 {
				want.Deployed = deployedOf(&objects.pipelines[i])
			}
			found = append(found, judgePipeline(&objects.pipelines[i], want)...)
		}
	}
	return found, nil
}

func judgeBuild(build *v1alpha1.CiBuild, counted runs) []string {
	want := v1alpha1.TriggerSummary{
		Total: counted.Total, Pending: counted.Pending, Held: counted.Held, Submitted: counted.Submitted, Running: counted.Running,
		Succeeded: counted.Succeeded, Failed: counted.Failed, Cancelled: counted.Cancelled, Superseded: counted.Superseded,
		Waiting: counted.Pending + counted.Held, Active: counted.Submitted + counted.Running, Skipped: counted.Skipped,
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
	if want := counted.Created == counted.Total && counted.NotTakenUp == 0 && build.Status.Phase == v1alpha1.BuildSucceeded; triggered != want {
		found = append(found, fmt.Sprintf("I7: the condition Triggered of CiBuild %s is %t, with %d of %d runs that have a Workflow", build.Name, triggered, counted.Created, counted.Total))
	}
	finished := meta.FindStatusCondition(build.Status.Conditions, v1alpha1.ConditionFinished)
	if got, want := conditionOf(finished), counted.finished(); got != want {
		found = append(found, fmt.Sprintf("I7: the condition Finished of CiBuild %s is %s, the rows say %s", build.Name, got, want))
	}
	return found
}

// finished is what the condition Finished must be.
func (r runs) finished() string {
	waiting, active := r.Pending+r.Held, r.Submitted+r.Running
	status, reason := metav1.ConditionTrue, v1alpha1.ReasonDone
	if waiting+active > 0 {
		status = metav1.ConditionFalse
	}
	switch {
	case r.Total == 0:
		reason = v1alpha1.ReasonNothingToDo
	case r.Failed > 0:
		reason = v1alpha1.ReasonRunsFailed
	case active > 0:
		reason = v1alpha1.ReasonRunning
	case waiting > 0:
		reason = v1alpha1.ReasonWaiting
	}
	return fmt.Sprintf("%s/%s", status, reason)
}

func conditionOf(condition *metav1.Condition) string {
	if condition == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s/%s", condition.Status, condition.Reason)
}

// deployedOf is what a status tells to be deployed.
func deployedOf(pipeline *v1alpha1.CdPipeline) []string {
	deployed := []string{}
	for _, one := range pipeline.Status.Deployed {
		deployed = append(deployed, fmt.Sprintf("%s@%s of %s", one.Image, one.Digest, one.BuildName))
	}
	return deployed
}

func judgePipeline(pipeline *v1alpha1.CdPipeline, want told) []string {
	var found []string
	if got, want := runText(toldRun(pipeline.Status.LastRun)), runText(want.Run); got != want {
		found = append(found, fmt.Sprintf("I7: CdPipeline %s tells of %s, the rows have %s", pipeline.Name, got, want))
	}
	if got, want := conditionText(pipeline), want.condition(); !tells(got, want) {
		found = append(found, fmt.Sprintf("I7: the condition Triggered of CdPipeline %s is %s, the rows say %s", pipeline.Name, got, want))
	}
	if deployed := deployedOf(pipeline); !slices.Equal(deployed, want.Deployed) {
		found = append(found, fmt.Sprintf("I7: CdPipeline %s tells that %v is deployed, the rows have %v", pipeline.Name, deployed, want.Deployed))
	}
	return found
}

// toldRun is nil where the status tells of no run.
func toldRun(told *v1alpha1.LastRun) *lastRun {
	if told == nil {
		return nil
	}
	return &lastRun{ID: told.Run, BuildName: told.BuildName, Image: told.Image, Digest: told.Digest, Stage: told.Stage, Status: told.Phase}
}

func runText(run *lastRun) string {
	if run == nil {
		return "no run"
	}
	return fmt.Sprintf("run %d of build %s with %s@%s: %s is %s", run.ID, run.BuildName, run.Image, run.Digest, run.Stage, run.Status)
}

// condition is what the condition Triggered must be: why the last build that was decided
// on waits, or what was decided.
func (t told) condition() string {
	run, decision := t.Run, t.Decision
	if decision == nil {
		return "nothing"
	}
	if run != nil && run.BuildName == decision.BuildName {
		if waits := run.waits(); waits != "" {
			return waits
		}
	}
	status := metav1.ConditionFalse
	if decision.Outcome == string(v1alpha1.OutcomeTriggered) {
		status = metav1.ConditionTrue
	}
	if decision.Reason == string(v1alpha1.ReasonTriggered) {
		return fmt.Sprintf("%s/%s: triggered %s", status, decision.Reason, decision.Message)
	}
	return fmt.Sprintf("%s/%s: build %s: %s", status, decision.Reason, decision.BuildName, decision.Message)
}

// waits is what the condition Triggered must be where the run is held, nobody takes its
// Workflow up, or it has none yet; empty for others. "…" is what more than the row says.
func (r lastRun) waits() string {
	stage := fmt.Sprintf("build %s: stage %s of run %d", r.BuildName, r.Stage, r.ID)
	switch {
	case r.Status == "Held" && (r.Reason == "Turn" || r.Reason == "Template"):
		return fmt.Sprintf("False/%s: %s waits: …", r.Reason, stage)
	case r.Status == "Held" || r.Status == "Submitted" && r.Reason == "NotTakenUp":
		return fmt.Sprintf("False/%s: %s waits: %s", r.Reason, stage, r.Message)
	case r.Status != "Pending" && r.Status != "Submitting":
		return ""
	case r.Reason != "":
		return fmt.Sprintf("False/%s: %s is tried again: %s", r.Reason, stage, r.Message)
	case r.Status == "Pending" && r.Attempt > 1:
		return fmt.Sprintf("False/Retry: %s is tried again: …", stage)
	default:
		return fmt.Sprintf("False/TriggersPending: %s waits for a slot", stage)
	}
}

// tells compares what a condition tells with what it must, of which "…" leaves the end open.
func tells(got, want string) bool {
	begin, isOpen := strings.CutSuffix(want, "…")
	return got == want || isOpen && strings.HasPrefix(got, begin)
}

func conditionText(pipeline *v1alpha1.CdPipeline) string {
	condition := meta.FindStatusCondition(pipeline.Status.Conditions, v1alpha1.ConditionTriggered)
	if condition == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s/%s: %s", condition.Status, condition.Reason, condition.Message)
}
