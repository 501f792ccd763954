package trigger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Build is what a decision needs to know of a finished build.
type Build struct {
	UID        string
	Namespace  string
	Name       string
	CiPipeline string
	Revision   string
	// Ref is the branch or tag; empty where the CiBuild does not say.
	Ref   string
	Cause string
	Phase v1alpha1.BuildPhase
	// CreatedAt is the CiBuild's creation: builds of a pipeline are ordered by it.
	CreatedAt time.Time
}

// Decision is what happens to one pipeline for one artifact, and why. A build
// that did not succeed has the zero artifact.
type Decision struct {
	Artifact v1alpha1.Artifact
	Pipeline *v1alpha1.CdPipeline
	Outcome  v1alpha1.Outcome
	Reason   v1alpha1.Reason
	Message  string
	// Also are the other images of the run: those of the same digest and repository.
	Also []string
	// WaitsFor is the UID of the pipeline whose run is waited for; empty unless the outcome is
	// Waiting.
	WaitsFor string
}

// StartsRun tells whether the decision is that a run starts, and not that its artifact
// is part of another's run.
func (d Decision) StartsRun() bool {
	return d.Outcome == v1alpha1.OutcomeTriggered && d.Reason != v1alpha1.ReasonSameRun
}

// Children finds the CdPipelines that name a parent.
type Children interface {
	// Of returns the pipelines whose parentRef is (kind, name), in the namespace.
	Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline
}

// Decider decides. The zero value is not usable: it needs Filters.
type Decider struct {
	Filters *Filters
	// Budget bounds what the filters of one build cost. Nil means a new one for each call.
	Budget *Budget
}

// verdict is a decision before it knows its artifact and pipeline.
type verdict struct {
	outcome v1alpha1.Outcome
	reason  v1alpha1.Reason
	message string
}

// Build decides for every descendant of the build's pipeline, once for each
// artifact: the children by their own configuration, the pipelines below them by
// whether their parent was triggered. Decisions come in the order in which they
// are to be dispatched.
func (d Decider) Build(build Build, ciPipeline *v1alpha1.CiPipeline, artifacts []v1alpha1.Artifact, children Children) []Decision {
	if build.Phase != v1alpha1.BuildSucceeded {
		message := fmt.Sprintf("build %s ended as %s", build.Name, build.Phase)
		verdict := verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonBuildNotSucceeded, message}
		return all(verdict, v1alpha1.Artifact{}, ciPipeline.Name, children)
	}
	d = d.budgeted()
	var decisions []Decision
	for _, artifact := range artifacts {
		if ciPipeline.Spec.Suspend {
			message := fmt.Sprintf("CiPipeline %s is suspended", ciPipeline.Name)
			verdict := verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentSuspended, message}
			decisions = append(decisions, all(verdict, artifact, ciPipeline.Name, children)...)
			continue
		}
		family := newFamily(children)
		direct := family.of(v1alpha1.ParentCiPipeline, ciPipeline.Name)
		decisions = append(decisions, d.below(build, artifact, direct, family)...)
	}
	return joinRuns(decisions)
}

// Succeeded decides for every descendant of a pipeline whose last stage succeeded, once
// for each artifact that its run was given.
func (d Decider) Succeeded(build Build, artifacts []v1alpha1.Artifact, parent string, children Children) []Decision {
	d = d.budgeted()
	var decisions []Decision
	for _, artifact := range artifacts {
		family := newFamily(children, parent)
		decisions = append(decisions, d.below(build, artifact, family.of(v1alpha1.ParentCdPipeline, parent), family)...)
	}
	return joinRuns(decisions)
}

// Ended decides for every descendant of a pipeline whose run ended otherwise.
func (d Decider) Ended(artifacts []v1alpha1.Artifact, parent, how string, children Children) []Decision {
	message := fmt.Sprintf("parent CdPipeline %s ended as %s", parent, how)
	verdict := verdict{v1alpha1.OutcomeBlocked, v1alpha1.ReasonParentNotSucceeded, message}
	if how == string(v1alpha1.ReasonSuperseded) { // nothing is to be mended: a newer build goes on
		verdict.outcome, verdict.reason = v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentNotTriggered
	}
	var decisions []Decision
	for _, artifact := range artifacts {
		decisions = append(decisions, descend(verdict, artifact, parent, newFamily(children, parent))...)
	}
	return decisions
}

// Late decides for every descendant of a pipeline whose run succeeded when a newer build
// had already had its turn there, as where its Workflow was retried in Argo.
func (d Decider) Late(artifacts []v1alpha1.Artifact, parent string, children Children) []Decision {
	message := fmt.Sprintf("CdPipeline %s succeeded with this build only after a newer build had its turn: "+
		"to deploy this one here all the same, create a RunRequest with action Trigger and allowOlder", parent)
	verdict := verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonSuperseded, message}
	var decisions []Decision
	for _, artifact := range artifacts {
		decisions = append(decisions, descend(verdict, artifact, parent, newFamily(children, parent))...)
	}
	return decisions
}

// Requested decides for a pipeline that a person asked for, whoever its parent is: its
// filter alone may speak against an artifact.
func (d Decider) Requested(build Build, artifacts []v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline, children Children) []Decision {
	d = d.budgeted()
	var decisions []Decision
	for _, artifact := range artifacts {
		verdict := d.filter(build, artifact, pipeline)
		if verdict.outcome == v1alpha1.OutcomeTriggered {
			verdict.reason = v1alpha1.ReasonRequested
		}
		decision := verdict.on(artifact, pipeline)
		decisions = append(decisions, decision)
		decisions = append(decisions, inherit(decision, newFamily(children, pipeline.Name))...)
	}
	return joinRuns(decisions)
}

// Again decides for a pipeline that runs artifacts once more that it ran before.
func (d Decider) Again(artifacts []v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline, children Children) []Decision {
	verdict := verdict{v1alpha1.OutcomeTriggered, v1alpha1.ReasonRequested, "run again by a RunRequest"}
	var decisions []Decision
	for _, artifact := range artifacts {
		decision := verdict.on(artifact, pipeline)
		decisions = append(decisions, decision)
		decisions = append(decisions, inherit(decision, newFamily(children, pipeline.Name))...)
	}
	return joinRuns(decisions)
}

// Overtaken returns the decisions as they are where a pipeline is not triggered because
// a newer build had its turn there: it is skipped, and so is all that hangs below it.
func Overtaken(decisions []Decision, pipelineUID, message string) []Decision {
	overtaken := map[string]string{} // the pipeline that was overtaken, by it and all below
	changed := slices.Clone(decisions)
	for i, decision := range changed {
		pipeline := decision.Pipeline
		parent := pipeline.Spec.ParentRef
		switch {
		case string(pipeline.UID) == pipelineUID && decision.Outcome == v1alpha1.OutcomeTriggered:
			changed[i] = verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonSuperseded, message}.on(decision.Artifact, pipeline)
			overtaken[pipeline.Name] = pipeline.Name
		case parent.Kind == v1alpha1.ParentCdPipeline && overtaken[parent.Name] != "" && decision.Reason == v1alpha1.ReasonParentRunning:
			overtaken[pipeline.Name] = overtaken[parent.Name]
			text := fmt.Sprintf("parent CdPipeline %s was not triggered: %s", overtaken[pipeline.Name], v1alpha1.ReasonSuperseded)
			changed[i] = verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentNotTriggered, text}.on(decision.Artifact, pipeline)
		}
	}
	return changed
}

// joinRuns makes one run of the artifacts that go together: all of them where the
// pipeline says All, else those that are one digest in one repository. The first of them
// starts the run.
func joinRuns(decisions []Decision) []Decision {
	type key struct{ pipeline, digest, repository string }
	first := map[key]int{}
	for i := range decisions {
		decision := &decisions[i]
		if decision.Outcome != v1alpha1.OutcomeTriggered {
			continue
		}
		same := key{pipeline: decision.Pipeline.Name}
		all := decision.Pipeline.Spec.Artifacts == v1alpha1.ArtifactsAll
		if !all {
			same.digest, same.repository = decision.Artifact.Digest, Repository(decision.Artifact.Image)
		}
		leader, joins := first[same]
		if !joins {
			first[same] = i
			continue
		}
		decision.Reason = v1alpha1.ReasonSameRun
		decision.Message = "part of the run of " + decisions[leader].Artifact.Image
		if !all {
			decisions[leader].Also = append(decisions[leader].Also, decision.Artifact.Image)
		}
	}
	return decisions
}

// Repository returns an image's name without its tag and its digest.
func Repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		return image[:colon]
	}
	return image
}

// below decides for the children of one parent, then for what hangs below them.
func (d Decider) below(build Build, artifact v1alpha1.Artifact, direct []v1alpha1.CdPipeline, family *family) []Decision {
	decisions := make([]Decision, 0, len(direct))
	for i := range direct {
		decisions = append(decisions, d.one(build, artifact, &direct[i]))
	}
	for _, parent := range slices.Clone(decisions) {
		decisions = append(decisions, inherit(parent, family)...)
	}
	return decisions
}

// one decides for a single pipeline, by the first rule that speaks.
func (d Decider) one(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) Decision {
	verdict := d.judge(build, artifact, pipeline)
	return verdict.on(artifact, pipeline)
}

func (d Decider) judge(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) verdict {
	switch {
	case !pipeline.DeletionTimestamp.IsZero():
		return verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonPipelineTerminating, "the pipeline is being deleted"}
	case pipeline.Spec.Suspend:
		return verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonSuspended, "spec.suspend is true"}
	case pipeline.Spec.Trigger == v1alpha1.TriggerManual:
		return verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonManualTrigger, "spec.trigger is Manual"}
	}
	return d.filter(build, artifact, pipeline)
}

func (d Decider) filter(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) verdict {
	if pipeline.Spec.Filter != "" && d.Budget.isSpent() {
		return overBudget(build)
	}
	matched, cost, err := d.Filters.evaluate(build, artifact, pipeline)
	d.Budget.Spent += cost
	var filterError *FilterError
	switch {
	case errors.As(err, &filterError):
		return verdict{v1alpha1.OutcomeBlocked, filterError.Reason, truncate(filterError.Error())}
	case !matched:
		return verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonFilteredOut, truncate("spec.filter is false: " + pipeline.Spec.Filter)}
	default:
		return verdict{v1alpha1.OutcomeTriggered, v1alpha1.ReasonTriggered, fmt.Sprintf("by build %s", build.Name)}
	}
}

// inherited is the verdict on everything below a pipeline that was decided on.
func inherited(parent Decision) verdict {
	if parent.Outcome == v1alpha1.OutcomeTriggered {
		return verdict{v1alpha1.OutcomeWaiting, v1alpha1.ReasonParentRunning,
			fmt.Sprintf("waits for CdPipeline %s to succeed", parent.Pipeline.Name)}
	}
	return verdict{v1alpha1.OutcomeSkipped, v1alpha1.ReasonParentNotTriggered,
		fmt.Sprintf("parent CdPipeline %s was not triggered: %s", parent.Pipeline.Name, parent.Reason)}
}

// inherit decides for every descendant of a pipeline that was decided on.
func inherit(parent Decision, family *family) []Decision {
	decisions := descend(inherited(parent), parent.Artifact, parent.Pipeline.Name, family)
	if parent.Outcome == v1alpha1.OutcomeTriggered {
		for i := range decisions {
			decisions[i].WaitsFor = string(parent.Pipeline.UID)
		}
	}
	return decisions
}

// all gives one verdict to every descendant of a CiPipeline.
func all(v verdict, artifact v1alpha1.Artifact, ciPipeline string, children Children) []Decision {
	var decisions []Decision
	family := newFamily(children)
	for _, child := range family.of(v1alpha1.ParentCiPipeline, ciPipeline) {
		decisions = append(decisions, v.on(artifact, &child))
		decisions = append(decisions, descend(v, artifact, child.Name, family)...)
	}
	return decisions
}

// descend gives one verdict to every descendant of a CdPipeline.
func descend(v verdict, artifact v1alpha1.Artifact, parent string, family *family) []Decision {
	var decisions []Decision
	for queue := []string{parent}; len(queue) > 0; queue = queue[1:] {
		for _, child := range family.of(v1alpha1.ParentCdPipeline, queue[0]) {
			queue = append(queue, child.Name)
			decisions = append(decisions, v.on(artifact, &child))
		}
	}
	return decisions
}

func (v verdict) on(artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) Decision {
	return Decision{Artifact: artifact, Pipeline: pipeline, Outcome: v.outcome, Reason: v.reason, Message: v.message}
}

// Application is the pipeline's application, which defaults to its name.
func Application(pipeline *v1alpha1.CdPipeline) string {
	return cmp.Or(pipeline.Spec.Application, pipeline.Name)
}

// maxMessage bounds, in bytes, what is stored of a message.
const maxMessage = 1024

func truncate(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage-len("…")], "") + "…"
}
