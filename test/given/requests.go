package given

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// RunRequest asks for the action and names nothing yet: the API server refuses it without
// OfPipeline or OfTarget, and mostly without OfBuild or OfRun.
func RunRequest(name string, action v1alpha1.Action, with ...func(*v1alpha1.RunRequest)) *v1alpha1.RunRequest {
	request := &v1alpha1.RunRequest{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RunRequest"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       v1alpha1.RunRequestSpec{Action: action},
	}
	return apply(request, with)
}

// OfPipeline makes the request one about a CdPipeline.
func OfPipeline(name string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) {
		request.Spec.PipelineRef = &v1alpha1.PipelineReference{Name: name}
	}
}

// OfTarget makes the request one about a BaseImage or a TargetCluster.
func OfTarget(kind, name string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) {
		request.Spec.Target = &v1alpha1.ObjectReference{Kind: kind, Name: name}
	}
}

// OfBuild names the CiBuild.
func OfBuild(name string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) {
		request.Spec.BuildRef = &v1alpha1.PipelineReference{Name: name}
	}
}

// OfRun names a run by its number.
func OfRun(id int64) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) { request.Spec.Run = &id }
}

// AtStage names the stage: PRE, DEPLOY or POST.
func AtStage(stage string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) { request.Spec.Stage = stage }
}

// AllowOlder lets the request deploy a build although a newer one had its turn.
func AllowOlder(request *v1alpha1.RunRequest) { request.Spec.AllowOlder = true }

// By names who asks.
func By(name string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) { request.Spec.By = name }
}

// BecauseOf is the request's reason.
func BecauseOf(reason string) func(*v1alpha1.RunRequest) {
	return func(request *v1alpha1.RunRequest) { request.Spec.Reason = reason }
}
