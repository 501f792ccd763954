package build

import (
	"context"
	"errors"
	"fmt"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get

const (
	// enders is how many builds are ended at once, and group how many are read at once.
	enders, group = 4, 200
	// endTimeout bounds the end of one build, waiting for the API's token bucket included.
	endTimeout = time.Minute
	// awayTimeout bounds reading what a build in another cluster produced: others wait meanwhile.
	awayTimeout = 5 * time.Second
	// endInterval is how often the Ender looks without a signal: for builds that were deleted, or that somebody else ended.
	endInterval = 10 * time.Second
)

// Ender tells how builds ended whose task has ended, lets their Workflows go, and gives the
// next builds their turn. Until then the Workflow keeps its finalizer, so that its outputs are
// read whatever crashes.
type Ender struct {
	*loop.Loop
	Config
	wake loop.Signal
}

// NewEnder returns a loop that does nothing until it is started.
func NewEnder(config Config) *Ender {
	e := &Ender{Config: config}
	e.Loop = loop.New(loop.Config{Name: "build", Run: e.runOnce, Signal: &e.wake, Interval: endInterval, Retry: retryMost, Log: config.Log})
	return e
}

// Wake says that the task of a build may have ended. It never blocks.
func (e *Ender) Wake() { e.wake.Notify() }

// runOnce ends what there is to end. One that fails keeps no other.
func (e *Ender) runOnce(ctx context.Context) (time.Duration, error) {
	stopped, err := e.Rows.StopAbandonedBuilds(ctx, group)
	if err != nil {
		return 0, err
	}
	if stopped > 0 {
		e.OnCommit()
	}
	var failed []int64
	var errs []error
	for ctx.Err() == nil {
		page, err := e.Rows.EndedBuilds(ctx, group, failed)
		if err != nil {
			return 0, errors.Join(append(errs, err)...)
		}
		if len(page) == 0 {
			break
		}
		var done []store.EndedBuild
		for i, err := range bounded.ForEach(ctx, enders, endTimeout, page, e.tell) {
			if errors.Is(err, errAway) { // the site of its cluster wakes the Ender when it answers
				failed = append(failed, page[i].ID)
				continue
			}
			if err != nil {
				crash.Tell(e.Log, "build", err)
				failed, errs = append(failed, page[i].ID), append(errs, err)
				continue
			}
			done = append(done, page[i])
		}
		if err := e.settle(ctx, done); err != nil { // the next run settles them: they stay in the list
			errs = append(errs, err)
			for _, build := range done {
				failed = append(failed, build.ID)
			}
		}
	}
	return 0, errors.Join(errs...)
}

// tell writes the status of a build that has ended, unless its CiBuild is gone or says how it
// ended already.
func (e *Ender) tell(ctx context.Context, done store.EndedBuild) error {
	build, err := e.untold(ctx, done, e.Cache, e.Live)
	if err != nil || build == nil {
		return err
	}
	artifacts, missing, err := e.artifacts(ctx, done)
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.BuildBeforeStatus)
	status, err := e.end(ctx, build, done, artifacts, missing)
	if apierrors.IsConflict(err) { // the cache is behind
		if build, err = e.untold(ctx, done, e.Live); err != nil || build == nil {
			return err
		}
		status, err = e.end(ctx, build, done, artifacts, missing)
	}
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	failpoint.Hit(failpoint.BuildAfterStatus)
	e.event(build, status)
	return nil
}

// untold returns the CiBuild as the first of the readers has it that knows it; nil where none
// does, or where it says how it ended. Since the task is settled then for good, a cache that
// does not know the CiBuild is not enough.
func (e *Ender) untold(ctx context.Context, done store.EndedBuild, readers ...client.Reader) (*v1alpha1.CiBuild, error) {
	for _, reader := range readers {
		build := &v1alpha1.CiBuild{}
		err := reader.Get(ctx, types.NamespacedName{Namespace: done.Namespace, Name: done.BuildName}, build)
		switch {
		case apierrors.IsNotFound(err) || (err == nil && string(build.UID) != done.BuildUID):
			continue
		case err != nil:
			return nil, fmt.Errorf("get CiBuild: %w", err)
		case build.Status.Phase.IsTerminal():
			return nil, nil
		}
		return build, nil
	}
	return nil, nil
}

// end writes how the build ended. Artifacts that the API server refuses are none.
func (e *Ender) end(ctx context.Context, build *v1alpha1.CiBuild, done store.EndedBuild, artifacts []v1alpha1.Artifact, missing *problem) (v1alpha1.CiBuildStatus, error) {
	status := ended(build, done.BuildTask, artifacts, missing)
	err := patchStatus(ctx, e.Writer, build, status)
	if apierrors.IsInvalid(err) && missing == nil {
		status = ended(build, done.BuildTask, nil, &problem{v1alpha1.ReasonNoArtifacts, "the API server refuses what the Workflow produced: " + err.Error()})
		err = patchStatus(ctx, e.Writer, build, status)
	}
	return status, err
}

func (e *Ender) event(build *v1alpha1.CiBuild, status v1alpha1.CiBuildStatus) {
	if status.Phase == v1alpha1.BuildSucceeded {
		e.Events.Eventf(build, nil, corev1.EventTypeNormal, string(v1alpha1.ReasonBuildSucceeded), "Build", "built %s", status.Artifacts[0].Image)
		return
	}
	kind := corev1.EventTypeWarning
	if status.Phase == v1alpha1.BuildCancelled {
		kind = corev1.EventTypeNormal
	}
	e.Events.Eventf(build, nil, kind, "Build"+string(status.Phase), "Build", "%s: %s", status.Reason, status.Message)
}

// artifacts reads the Workflow of a build that succeeded, once.
func (e *Ender) artifacts(ctx context.Context, done store.EndedBuild) ([]v1alpha1.Artifact, *problem, error) {
	if done.Status != store.StatusSucceeded {
		return nil, nil, nil
	}
	workflow := &unstructured.Unstructured{}
	workflow.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("Workflow"))
	there, err := e.workflowsOf(done.Cluster)
	if err != nil {
		return nil, nil, err
	}
	if done.Cluster != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, awayTimeout)
		defer cancel()
	}
	err = there.Get(ctx, types.NamespacedName{Namespace: done.Namespace, Name: done.WorkflowName}, workflow)
	if apierrors.IsNotFound(err) || (err == nil && done.WorkflowUID != "" && string(workflow.GetUID()) != done.WorkflowUID) {
		return nil, &problem{v1alpha1.ReasonWorkflowDeleted, fmt.Sprintf("Workflow %s was deleted before its outputs were read: build again", done.WorkflowName)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read outputs of workflow: %w", err)
	}
	names, err := e.outputNames(ctx, done)
	if err != nil {
		return nil, nil, err
	}
	artifacts, err := argo.Artifacts(argo.GlobalOutputs(workflow), names)
	if err != nil {
		return nil, &problem{v1alpha1.ReasonNoArtifacts, err.Error()}, nil
	}
	return artifacts, nil, nil
}

// outputNames are those of the pipeline as it is now; the defaults where it is gone.
func (e *Ender) outputNames(ctx context.Context, done store.EndedBuild) (v1alpha1.BuildOutputs, error) {
	pipeline := &v1alpha1.CiPipeline{}
	err := e.Cache.Get(ctx, types.NamespacedName{Namespace: done.Namespace, Name: done.Pipeline.Name}, pipeline)
	return pipeline.Spec.Outputs, client.IgnoreNotFound(err)
}

// turn is what builds take turns in.
type turn struct {
	pipeline types.NamespacedName
	uid, ref string
}

// settle notes that builds are told of, lets their Workflows go, and has the next builds take
// their turns.
func (e *Ender) settle(ctx context.Context, done []store.EndedBuild) error {
	if len(done) == 0 {
		return nil
	}
	var ids []int64
	workflows := map[string][]types.NamespacedName{} // by cluster
	turns := map[turn]bool{}
	for _, build := range done {
		ids = append(ids, build.ID)
		if build.HadWorkflow {
			workflows[build.Cluster] = append(workflows[build.Cluster], types.NamespacedName{Namespace: build.Namespace, Name: build.WorkflowName})
		}
		turns[turn{types.NamespacedName{Namespace: build.Namespace, Name: build.Pipeline.Name}, build.Pipeline.UID, build.Ref}] = true
	}
	var errs []error
	for turn := range turns {
		errs = append(errs, e.next(ctx, turn))
	}
	if err := errors.Join(errs...); err != nil {
		return err // they stay unsettled, so that nobody waits for ever for a turn that is free
	}
	if err := e.Rows.SettleBuilds(ctx, ids); err != nil {
		return err
	}
	for cluster, names := range workflows {
		e.release(cluster, names)
	}
	e.OnCommit()
	return nil
}

// next gives the turn to the next build. Where the pipeline is gone nothing starts, and what
// waits is told so when it is claimed.
func (e *Ender) next(ctx context.Context, turn turn) error {
	pipeline := &v1alpha1.CiPipeline{}
	err := e.Cache.Get(ctx, turn.pipeline, pipeline)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("get CiPipeline: %w", err)
	}
	ref := store.PipelineRef{UID: turn.uid, Namespace: turn.pipeline.Namespace, Name: turn.pipeline.Name, Policy: refOf(pipeline).Policy}
	exists := true
	if err == nil && string(pipeline.UID) == turn.uid && pipeline.Spec.Workflow != nil {
		if exists, _, err = e.templateExists(ctx, trigger.BuildCluster(pipeline), pipeline); err != nil {
			return err
		}
	}
	return e.Rows.GiveBuildTurns(ctx, ref, turn.ref, exists)
}
