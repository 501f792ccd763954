package report

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// reportBuilds reads the builds and what came of them, and returns the writes
// that are due.
func (r *Reporter) reportBuilds(ctx context.Context, keys []types.NamespacedName) ([]write, error) {
	builds, err := r.finishedBuilds(ctx, keys)
	if err != nil || len(builds) == 0 {
		return nil, err
	}
	uids := make([]string, len(builds))
	for i, build := range builds {
		uids[i] = string(build.UID)
	}
	summaries, err := r.Rows.Summaries(ctx, uids)
	if err != nil {
		return nil, err
	}
	for _, summary := range summaries {
		r.explainDelays(summary)
	}
	var writes []write
	for _, build := range builds {
		hasParent, err := r.hasCiPipeline(ctx, build)
		if err != nil {
			return nil, err
		}
		key := types.NamespacedName{Namespace: build.Namespace, Name: build.Name}
		unplanned := summaries[string(build.UID)] == nil && !wasPlanned(build) && hasParent
		if unplanned && !r.planning.overdue(key, time.Now()) {
			r.builds.addLater(key)
			continue // about to be planned, which reports it again
		}
		delete(r.planning, key)
		changed := build.DeepCopy()
		changed.Status = buildStatus(build, summaries[string(build.UID)], hasParent, r.Gate)
		if summaries[string(build.UID)] == nil {
			r.tellTrouble(key, changed.Status.Conditions)
		}
		r.nameHolders(changed.Status.Conditions)
		if !r.builds.cuts.fit(key, build.ResourceVersion, changed.Status.Conditions, nil) {
			continue
		}
		if equality.Semantic.DeepEqual(build.Status, changed.Status) {
			continue
		}
		writes = append(writes, write{
			key: key, original: build, changed: changed,
			news: append(buildNews(build.Status, changed.Status), finishedNews(build.Status, changed.Status)...),
		})
	}
	return writes, nil
}

// finishedBuilds returns those of the builds that exist and have ended.
func (r *Reporter) finishedBuilds(ctx context.Context, keys []types.NamespacedName) ([]*v1alpha1.CiBuild, error) {
	var builds []*v1alpha1.CiBuild
	for _, key := range keys {
		build := &v1alpha1.CiBuild{}
		err := r.Cache.Get(ctx, key, build)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get CiBuild: %w", err)
		}
		if build.Status.Phase.IsTerminal() {
			builds = append(builds, build)
		}
	}
	return builds, nil
}

func (r *Reporter) hasCiPipeline(ctx context.Context, build *v1alpha1.CiBuild) (bool, error) {
	key := types.NamespacedName{Namespace: build.Namespace, Name: build.Spec.PipelineRef.Name}
	err := r.Cache.Get(ctx, key, &v1alpha1.CiPipeline{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// buildStatus is the status of a build that has ended. The summary is nil where
// the build is not planned.
func buildStatus(build *v1alpha1.CiBuild, summary *store.Summary, hasParent bool, gate Gate) v1alpha1.CiBuildStatus {
	status := *build.Status.DeepCopy()
	status.ObservedGeneration = build.Generation
	set := func(condition metav1.Condition) {
		condition.ObservedGeneration = build.Generation
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	set(completeCondition(build))
	if summary == nil {
		set(unplannedCondition(build, hasParent))
		return status
	}
	status.Triggers = &summary.Triggers
	set(plannedCondition(summary))
	set(triggeredCondition(build, summary, gate))
	set(finishedCondition(build, summary))
	return status
}

func completeCondition(build *v1alpha1.CiBuild) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue,
		Reason: "Build" + string(build.Status.Phase), Message: fmt.Sprintf("the build ended as %s", build.Status.Phase),
	}
	if build.Status.Reason != "" {
		condition.Reason = build.Status.Reason
	}
	if build.Status.Message != "" {
		condition.Message += ": " + build.Status.Message
	}
	return condition
}

// unplannedCondition says why an ended build is not planned.
func unplannedCondition(build *v1alpha1.CiBuild, hasParent bool) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionFalse}
	switch {
	case wasPlanned(build):
		condition.Reason = string(v1alpha1.ReasonRecordsLost)
		condition.Message = "this build was planned, but the database knows nothing of it, as after it was restored; nothing is triggered again by itself: " +
			"look at what is deployed, and to run a pipeline for this build: " + triggerCommand(build)
	case !hasParent:
		condition.Reason = string(v1alpha1.ReasonParentNotFound)
		condition.Message = fmt.Sprintf("CiPipeline %q does not exist in this namespace: create it, and this build is planned", build.Spec.PipelineRef.Name)
	default:
		condition.Reason = string(v1alpha1.ReasonPlanning)
		condition.Message = "what to trigger is being decided"
	}
	return condition
}

// triggerCommand is what has a pipeline run for the build.
func triggerCommand(build *v1alpha1.CiBuild) string {
	return fmt.Sprintf(`echo '{"apiVersion":"%s","kind":"RunRequest","metadata":{"generateName":"again-"},"spec":{"action":"Trigger",`+
		`"pipelineRef":{"name":"PIPELINE"},"buildRef":{"name":"%s"}}}' | kubectl -n %s create -f -`, v1alpha1.GroupVersion, build.Name, build.Namespace)
}

// wasPlanned stays true once the records are known to be lost, whatever becomes of
// the CiPipeline: with any other reason the build would be planned again.
func wasPlanned(build *v1alpha1.CiBuild) bool {
	planned := meta.FindStatusCondition(build.Status.Conditions, v1alpha1.ConditionPlanned)
	return planned != nil && (planned.Status == metav1.ConditionTrue || planned.Reason == string(v1alpha1.ReasonRecordsLost))
}

func plannedCondition(summary *store.Summary) metav1.Condition {
	condition := metav1.Condition{Type: v1alpha1.ConditionPlanned, Status: metav1.ConditionTrue, Reason: string(v1alpha1.ReasonPlanned)}
	if len(summary.Decisions) == 0 {
		condition.Message = "no CdPipeline has this pipeline as its parent"
		return condition
	}
	var parts []string
	for _, decision := range summary.Decisions {
		parts = append(parts, describe(decision))
	}
	condition.Message = strings.Join(parts, "; ") + overBudget(summary)
	return condition
}

// describe says what was decided, and names the pipelines where it is not simply
// that they are triggered.
func describe(decision store.DecisionCount) string {
	if decision.Outcome == v1alpha1.OutcomeTriggered {
		return fmt.Sprintf("%d triggered", decision.Count)
	}
	return fmt.Sprintf("%d %s/%s (%s)", decision.Count, decision.Outcome, decision.Reason, names(decision.Examples, decision.Count))
}
