package lookup

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/intern"
)

// Trim readies an object for the cache: without the metadata that nobody reads, of which
// kubectl apply's copy of the manifest is the largest, and Penstock's own kinds with one
// copy of what many of them have in common. What is each object's own stays.
func Trim(object any) (any, error) {
	meta, ok := object.(metav1.Object)
	if !ok {
		return object, nil // a deleted object's name, which client-go passes on
	}
	meta.SetManagedFields(nil)
	meta.SetAnnotations(nil)
	meta.SetNamespace(intern.Text(meta.GetNamespace()))
	switch object := object.(type) {
	case *v1alpha1.CiPipeline:
		trimType(&object.TypeMeta)
	case *v1alpha1.CiBuild:
		trimBuild(object)
	case *v1alpha1.CdPipeline:
		trimPipeline(object)
	}
	return object, nil
}

func trimBuild(build *v1alpha1.CiBuild) {
	trimType(&build.TypeMeta)
	intern.Fields(&build.Spec.PipelineRef.Name)
	intern.Fields(&build.Status.Phase)
	for i := range build.Status.Artifacts {
		intern.Fields(&build.Status.Artifacts[i].Image)
	}
	build.Status.Conditions = trimConditions(build.Status.Conditions)
}

func trimPipeline(pipeline *v1alpha1.CdPipeline) {
	trimType(&pipeline.TypeMeta)
	spec := &pipeline.Spec
	intern.Fields(&spec.ParentRef.Kind)
	intern.Fields(&spec.Trigger)
	intern.Fields(&spec.ParentRef.Name, &spec.Application, &spec.Environment, &spec.Filter)
	for _, stage := range []*v1alpha1.StageSpec{spec.PreDeploy, &spec.Deploy, spec.PostDeploy} {
		trimStage(stage)
	}
	if run := pipeline.Status.LastRun; run != nil {
		intern.Fields(&run.BuildName, &run.Image, &run.Digest, &run.Stage, &run.Phase)
	}
	pipeline.Status.Conditions = trimConditions(pipeline.Status.Conditions)
}

func trimStage(stage *v1alpha1.StageSpec) {
	if stage == nil {
		return
	}
	intern.Fields(&stage.Trigger)
	intern.Fields(&stage.Workflow.TemplateRef.Name, &stage.Workflow.ServiceAccountName)
	for i := range stage.Workflow.Parameters {
		parameter := &stage.Workflow.Parameters[i]
		intern.Fields(&parameter.Name)
		if parameter.Value != nil {
			intern.Fields(parameter.Value)
		}
	}
}

func trimType(meta *metav1.TypeMeta) { intern.Fields(&meta.Kind, &meta.APIVersion) }

// trimConditions returns the same conditions without the room that decoding leaves for more.
// The cache trims each object of its first list twice.
func trimConditions(conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		condition := &conditions[i]
		intern.Fields(&condition.Type, &condition.Reason, &condition.Message)
		intern.Fields(&condition.Status)
	}
	if cap(conditions) == len(conditions) {
		return conditions
	}
	exact := make([]metav1.Condition, len(conditions))
	copy(exact, conditions)
	return exact
}
