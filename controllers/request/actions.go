package request

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/controllers/plan"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// refusal is why a request is not carried out.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// Refuse is why a target does not carry a request out.
func Refuse(format string, args ...any) error { return refuse(format, args...) }

// Target carries out requests about one kind of object that is no pipeline.
type Target interface {
	// CarryOut does what the request asks for, once, and records it. An error of Refuse means
	// that it never will; any other may pass.
	CarryOut(ctx context.Context, object *v1alpha1.RunRequest, request store.Request) (store.Answer, error)
}

// buildNamed is the build that a target is; empty where it is something else.
func buildNamed(target v1alpha1.ObjectReference) string {
	if target.Kind != "CiBuild" {
		return ""
	}
	return target.Name
}

// asked is a request, and the pipeline that it is about.
type asked struct {
	store.Request
	spec     v1alpha1.RunRequestSpec
	pipeline *v1alpha1.CdPipeline
}

// carryOut does what the request asks for, or returns a *refusal.
func (c *Controller) carryOut(ctx context.Context, object *v1alpha1.RunRequest, request store.Request) (store.Answer, error) {
	if named := object.Spec.Target; named != nil {
		request.BuildName = buildNamed(*named)
		target, known := c.Targets[named.Kind]
		if !known {
			return store.Answer{}, refuse("%s %s: this version of Penstock knows no request for this kind", named.Kind, named.Name)
		}
		return target.CarryOut(ctx, object, request)
	}
	pipeline, err := c.pipeline(ctx, object.Namespace, object.Spec.PipelineRef.Name)
	if err != nil {
		return store.Answer{}, err
	}
	request.Pipeline = store.PipelineRef{
		UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name, Policy: pipeline.Spec.ConcurrencyPolicy,
	}
	asked := asked{Request: request, spec: object.Spec, pipeline: pipeline}
	switch object.Spec.Action {
	case v1alpha1.ActionTrigger:
		return c.trigger(ctx, asked)
	case v1alpha1.ActionRetry:
		return c.retry(ctx, asked)
	case v1alpha1.ActionResume:
		return c.resume(ctx, asked)
	case v1alpha1.ActionCancel:
		return c.Rows.CancelRuns(ctx, request, number(object.Spec.Run))
	case v1alpha1.ActionRollback:
		return c.rollback(ctx, asked)
	default:
		return store.Answer{}, refuse("action %s is not known", object.Spec.Action)
	}
}

// number is 0 for none.
func number(run *int64) int64 {
	if run == nil {
		return 0
	}
	return *run
}

// pipeline asks the API server: what is refused is refused for good.
func (c *Controller) pipeline(ctx context.Context, namespace, name string) (*v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipeline := &v1alpha1.CdPipeline{}
	err := c.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, pipeline)
	if apierrors.IsNotFound(err) {
		return nil, refuse("CdPipeline %s does not exist in namespace %s", name, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("get CdPipeline: %w", err)
	}
	return pipeline, nil
}

// startable refuses a pipeline in which nothing starts now.
func startable(pipeline *v1alpha1.CdPipeline) error {
	switch {
	case !pipeline.DeletionTimestamp.IsZero():
		return refuse("CdPipeline %s is being deleted", pipeline.Name)
	case pipeline.Spec.Suspend:
		return refuse("CdPipeline %s is suspended: set spec.suspend to false first", pipeline.Name)
	default:
		return nil
	}
}

// trigger runs the pipeline for a build, whatever was decided for it.
func (c *Controller) trigger(ctx context.Context, asked asked) (store.Answer, error) {
	if err := startable(asked.pipeline); err != nil {
		return store.Answer{}, err
	}
	build, err := c.build(ctx, asked)
	if err != nil {
		return store.Answer{}, err
	}
	family := lookup.NewFamily(ctx, c.Cache, asked.Namespace)
	decisions := c.Decider.Requested(build.Build, build.Artifacts, asked.pipeline, family)
	if family.Err != nil {
		return store.Answer{}, family.Err
	}
	if !slices.ContainsFunc(decisions, trigger.Decision.StartsRun) {
		return store.Answer{}, refuse("no artifact of build %s passes the filter of CdPipeline %s: %s", build.Name, asked.pipeline.Name, decisions[0].Message)
	}
	return c.Rows.StartRuns(ctx, asked.Request, store.Starting{
		Build: build.Build, Place: build.Place, Decisions: decisions, AllowOlder: asked.spec.AllowOlder,
	})
}

// build returns the build that the request names, which must have succeeded above the
// pipeline.
func (c *Controller) build(ctx context.Context, asked asked) (*store.FinishedBuild, error) {
	build, err := c.Rows.FindBuild(ctx, asked.Namespace, asked.BuildName)
	if err == nil && build == nil {
		build, err = c.unplanned(ctx, asked)
	}
	switch {
	case err != nil:
		return nil, err
	case build.Phase != v1alpha1.BuildSucceeded:
		return nil, refuse("CiBuild %s ended as %s: only a build that Succeeded can be deployed", build.Name, build.Phase)
	case len(build.Artifacts) == 0:
		return nil, refuse("CiBuild %s has no artifacts", build.Name)
	}
	return build, c.confirmBelow(ctx, asked, build)
}

// unplanned returns a build whose plan is lost as its CiBuild has it, or says why one can't be
// deployed whose plan is not committed. It asks the API server: the cache may be behind.
func (c *Controller) unplanned(ctx context.Context, asked asked) (*store.FinishedBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var builds v1alpha1.CiBuildList
	err := c.Live.List(ctx, &builds, client.InNamespace(asked.Namespace), client.MatchingFields{"metadata.name": asked.BuildName})
	switch {
	case err != nil:
		return nil, fmt.Errorf("look for CiBuild: %w", err)
	case len(builds.Items) == 0:
		return nil, refuse("CiBuild %s does not exist in namespace %s", asked.BuildName, asked.Namespace)
	case plan.NeedsPlan(&builds.Items[0]):
		return nil, errUnplanned
	case !builds.Items[0].Status.Phase.IsTerminal():
		return nil, refuse("CiBuild %s has not ended", asked.BuildName)
	case !builds.Items[0].DeletionTimestamp.IsZero():
		return nil, refuse("CiBuild %s is being deleted", asked.BuildName)
	default:
		return c.Rows.NoteBuild(ctx, trigger.FactsOf(&builds.Items[0]), builds.Items[0].Status.Artifacts)
	}
}

// confirmBelow refuses a build of a CiPipeline that the pipeline does not hang below, by
// the cache and by the API server, since the cache may be behind.
func (c *Controller) confirmBelow(ctx context.Context, asked asked, build *store.FinishedBuild) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for _, reader := range []client.Reader{c.Cache, c.Live} {
		family := lookup.NewFamily(ctx, reader, asked.Namespace)
		root := trigger.Root(asked.pipeline, family)
		if family.Err != nil {
			return family.Err
		}
		if root == build.CiPipeline {
			return nil
		}
	}
	return refuse("CdPipeline %s is not below CiPipeline %s, of which CiBuild %s is a build", asked.pipeline.Name, build.CiPipeline, build.Name)
}

// retry makes new runs, from the stage that failed on, of the run or of all runs of the
// build that ended badly.
func (c *Controller) retry(ctx context.Context, asked asked) (store.Answer, error) {
	if err := startable(asked.pipeline); err != nil {
		return store.Answer{}, err
	}
	runs, err := c.Rows.Runs(ctx, asked.Pipeline.UID, number(asked.spec.Run), asked.BuildName)
	if err != nil {
		return store.Answer{}, err
	}
	failed, err := failedRuns(asked, runs)
	if err != nil {
		return store.Answer{}, err
	}
	build, err := c.Rows.FindBuild(ctx, asked.Namespace, failed[0].BuildName)
	if err == nil && build == nil {
		named := asked
		named.BuildName = failed[0].BuildName
		build, err = c.unplanned(ctx, named)
	}
	if err != nil {
		return store.Answer{}, err
	}
	if build.UID != failed[0].BuildUID {
		return store.Answer{}, refuse("the build of run %d is not known any more, or was made again under its name", failed[0].ID)
	}
	from := retryStage(asked, failed)
	if len(trigger.Stages(asked.pipeline, from)) == 0 {
		return store.Answer{}, refuse("CdPipeline %s has no stage %s any more", asked.pipeline.Name, from)
	}
	var artifacts []v1alpha1.Artifact
	for _, run := range failed {
		artifacts = append(artifacts, run.Artifacts...)
	}
	family := lookup.NewFamily(ctx, c.Cache, asked.Namespace)
	decisions := c.Decider.Again(artifacts, asked.pipeline, family)
	if family.Err != nil {
		return store.Answer{}, family.Err
	}
	return c.Rows.StartRuns(ctx, asked.Request, store.Starting{
		Build: build.Build, Place: build.Place, Decisions: decisions, From: from, AllowOlder: asked.spec.AllowOlder,
	})
}

// failedRuns are the newest runs of their artifacts that ended badly, or all that ended
// where the request names a stage.
func failedRuns(asked asked, runs []store.RunState) ([]store.RunState, error) {
	if len(runs) == 0 {
		return nil, refuse("CdPipeline %s does not have %s", asked.pipeline.Name, subject(asked, "a"))
	}
	var failed []store.RunState
	var open *store.RunState
	for i, run := range runs {
		switch {
		case !run.Newest && asked.spec.Run != nil:
			return nil, refuse("run %d is not the newest of its artifact: retry that one", run.ID)
		case !run.Newest:
		case run.Outcome == "":
			open = &runs[i]
		case run.Outcome != store.StatusSucceeded || asked.spec.Stage != "":
			failed = append(failed, run)
		}
	}
	switch {
	case len(failed) > 0:
		slices.Reverse(failed) // they go in the order in which they went
		return failed, nil
	case open != nil:
		return nil, refuse("run %d has not ended: cancel it first, or wait for its end", open.ID)
	default:
		return nil, refuse("%s in CdPipeline %s has succeeded: name spec.stage to run it again from there on", subject(asked, "every"), asked.pipeline.Name)
	}
}

// subject is the run that the request names, or a run, or every run, of its build.
func subject(asked asked, which string) string {
	if asked.spec.Run != nil {
		return fmt.Sprintf("run %d", *asked.spec.Run)
	}
	return which + " run of build " + asked.BuildName
}

// retryStage is the stage that is asked for, or the first that did not succeed in one of
// the runs.
func retryStage(asked asked, runs []store.RunState) trigger.Stage {
	if asked.spec.Stage != "" {
		return trigger.Stage(asked.spec.Stage)
	}
	for _, stage := range []trigger.Stage{trigger.StagePre, trigger.StageDeploy, trigger.StagePost} {
		for _, run := range runs {
			if slices.ContainsFunc(run.Stages, func(is store.StageState) bool { return is.Stage == stage && is.Status != store.StatusSucceeded }) {
				return stage
			}
		}
	}
	return ""
}

// resume lets stages go on that wait for a person.
func (c *Controller) resume(ctx context.Context, asked asked) (store.Answer, error) {
	if err := startable(asked.pipeline); err != nil {
		return store.Answer{}, err
	}
	holdOf := func(held store.Held) trigger.Hold { return trigger.HoldOf(asked.pipeline, held.Stage, held.Resumed) }
	return c.Rows.ResumeStages(ctx, asked.Request, number(asked.spec.Run), trigger.Stage(asked.spec.Stage), holdOf)
}

// rollback deploys again what succeeded before what is deployed. It does not go on to the
// pipelines below.
func (c *Controller) rollback(ctx context.Context, asked asked) (store.Answer, error) {
	if err := startable(asked.pipeline); err != nil {
		return store.Answer{}, err
	}
	build, deployed, err := c.Rows.DeployedBefore(ctx, asked.Pipeline)
	switch {
	case err != nil:
		return store.Answer{}, err
	case deployed == "":
		return store.Answer{}, refuse("CdPipeline %s has deployed nothing", asked.pipeline.Name)
	case build == nil:
		return store.Answer{}, refuse("CdPipeline %s has deployed nothing before build %s", asked.pipeline.Name, deployed)
	}
	asked.BuildName = build.Name
	return c.Rows.StartRuns(ctx, asked.Request, store.Starting{
		Build: build.Build, Place: build.Place, Decisions: c.Decider.Again(build.Artifacts, asked.pipeline, noChildren{}),
		AllowOlder: true, Alone: true,
	})
}

// noChildren is a family of nobody.
type noChildren struct{}

// Of implements trigger.Children.
func (noChildren) Of(v1alpha1.ParentKind, string) []v1alpha1.CdPipeline { return nil }
