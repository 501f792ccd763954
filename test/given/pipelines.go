package given

import (
	"fmt"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// BelowCi hangs the pipeline below a CiPipeline.
func BelowCi(name string) func(*v1alpha1.CdPipeline) {
	return below(v1alpha1.ParentCiPipeline, name)
}

// BelowCd hangs the pipeline below another CdPipeline.
func BelowCd(name string) func(*v1alpha1.CdPipeline) {
	return below(v1alpha1.ParentCdPipeline, name)
}

func below(kind v1alpha1.ParentKind, name string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		pipeline.Spec.ParentRef = v1alpha1.ParentReference{Kind: kind, Name: name}
	}
}

// InNamespace moves the pipeline.
func InNamespace(namespace string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Namespace = namespace }
}

// Suspended pipelines are never triggered.
func Suspended(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Suspend = true }

// Manual pipelines wait for a person.
func Manual(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Trigger = v1alpha1.TriggerManual }

// Priority orders the queue: higher goes first.
func Priority(priority int32) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Priority = priority }
}

// Filter is the pipeline's CEL expression.
func Filter(expression string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Filter = expression }
}

// Runs has the stage DEPLOY run another template.
func Runs(template string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Deploy.Workflow.TemplateRef.Name = template }
}

// WithPre gives the pipeline a stage before DEPLOY.
func WithPre(pipeline *v1alpha1.CdPipeline) {
	stage := Stage()
	pipeline.Spec.PreDeploy = &stage
}

// WithPost gives the pipeline a stage after DEPLOY.
func WithPost(pipeline *v1alpha1.CdPipeline) {
	stage := Stage()
	pipeline.Spec.PostDeploy = &stage
}

// ManualStage makes a stage that the pipeline has wait for a person.
func ManualStage(stage trigger.Stage) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		trigger.StageSpec(pipeline, stage).Trigger = v1alpha1.TriggerManual
	}
}

// CdPipelines are n children of CI, named prefix-000 and so on.
func CdPipelines(n int, prefix string, with ...func(*v1alpha1.CdPipeline)) Family {
	family := make(Family, n)
	for i := range family {
		family[i] = *CdPipeline(fmt.Sprintf("%s-%03d", prefix, i), with...)
	}
	return family
}
