package given

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// Held pipelines are planned, and their runs wait.
func Held(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Hold = true }

// Concurrency is the pipeline's concurrencyPolicy. Without it the field is empty, which
// means Queue.
func Concurrency(policy v1alpha1.ConcurrencyPolicy) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.ConcurrencyPolicy = policy }
}

// AllArtifacts gives all artifacts of a build to one run.
func AllArtifacts(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Artifacts = v1alpha1.ArtifactsAll }

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

// WithTimeout bounds how long the Workflow of DEPLOY may run.
func WithTimeout(timeout time.Duration) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		pipeline.Spec.Deploy.Timeout = &metav1.Duration{Duration: timeout}
	}
}

// WithRetries tries DEPLOY again after it failed, at most that often.
func WithRetries(maximum int32, backoff time.Duration) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		pipeline.Spec.Deploy.Retries = &v1alpha1.Retries{Max: maximum, Backoff: &metav1.Duration{Duration: backoff}}
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
