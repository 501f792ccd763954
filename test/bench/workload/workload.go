// Package workload is the triggers of one build, as each way of working takes
// them; it writes nothing.
package workload

import (
	"context"
	"fmt"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// Workload is a build that succeeded: each of its artifacts triggers each of the
// pipelines once.
type Workload struct {
	Build     trigger.Build
	Artifacts []v1alpha1.Artifact
	Pipelines given.Family
}

// New is a workload of exactly so many triggers. It must be a multiple of the
// number of pipelines, or less than that. The pipelines are children of given.CI.
func New(build, namespace string, pipelines given.Family, triggers int) Workload {
	pipelines = pipelines[:min(len(pipelines), triggers)]
	w := Workload{Build: given.Build(build), Artifacts: given.Artifacts(triggers / len(pipelines)), Pipelines: pipelines}
	w.Build.Namespace = namespace
	return w
}

// Triggers is how many there are.
func (w Workload) Triggers() int { return len(w.Artifacts) * len(w.Pipelines) }

// Plan is what Penstock commits for the build, as it decides it.
func (w Workload) Plan() (store.BuildPlan, error) {
	filters, err := trigger.NewFilters()
	if err != nil {
		return store.BuildPlan{}, fmt.Errorf("plan workload: %w", err)
	}
	decider := trigger.Decider{Filters: filters}
	decisions := decider.Build(w.Build, given.CiPipeline(given.CI), w.Artifacts, direct(w.Pipelines))
	return store.BuildPlan{Build: w.Build, Artifacts: w.Artifacts, Decisions: decisions}, nil
}

// direct is pipelines that have no children of their own.
type direct given.Family

// Of returns all of them below given.CI, and none below any other.
func (d direct) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	if kind != v1alpha1.ParentCiPipeline || name != given.CI {
		return nil
	}
	return d
}

// Trigger is one of a workload, for those who work without Penstock's queue.
type Trigger struct {
	// Claim is as it would be claimed; its id counts from 1.
	Claim    store.Claim
	Pipeline *v1alpha1.CdPipeline
	BuildUID string
}

// Workflow is what Penstock would create.
func (t Trigger) Workflow() (*wfv1.Workflow, error) {
	return argo.Stages{}.Build(context.Background(), only{pipeline: t.Pipeline}, t.Claim)
}

// only knows one pipeline, and takes it that its template exists.
type only struct {
	client.Reader
	pipeline *v1alpha1.CdPipeline
}

// Get implements client.Reader.
func (o only) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if pipeline, ok := object.(*v1alpha1.CdPipeline); ok {
		o.pipeline.DeepCopyInto(pipeline)
	}
	return nil
}

// List is every trigger.
func (w Workload) List() []Trigger {
	list := make([]Trigger, 0, w.Triggers())
	for _, artifact := range w.Artifacts {
		for i := range w.Pipelines {
			pipeline := &w.Pipelines[i]
			list = append(list, Trigger{Claim: w.claim(int64(len(list)+1), artifact, pipeline), Pipeline: pipeline, BuildUID: w.Build.UID})
		}
	}
	return list
}

func (w Workload) claim(id int64, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) store.Claim {
	identity := trigger.Identity{
		BuildUID: w.Build.UID, Image: artifact.Image, Digest: artifact.Digest,
		PipelineUID: string(pipeline.UID), Run: 1, Stage: trigger.Stages(pipeline, "")[0],
	}
	return store.Claim{
		ID: id, Attempt: 1, Kind: store.KindCd, Namespace: w.Build.Namespace,
		Owner:    store.Owner{Kind: "CdPipeline", Name: pipeline.Name, UID: string(pipeline.UID)},
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName(pipeline.Name, identity),
		Inputs: trigger.Inputs{
			Build: w.Build.Name, Revision: w.Build.Revision, Image: artifact.Image, Digest: artifact.Digest, Stage: identity.Stage,
		},
	}
}
