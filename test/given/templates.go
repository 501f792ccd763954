package given

import (
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkflowTemplate needs no pod: Argo's controller finishes its Workflows by itself,
// after that long.
func WorkflowTemplate(name string, takes time.Duration) *wfv1.WorkflowTemplate {
	return workflowTemplate(name, wfv1.Template{Suspend: &wfv1.SuspendTemplate{Duration: takes.String()}})
}

// PodTemplate runs a container. kwok ends it, badly where there is an exit code.
func PodTemplate(name, exitCode string) *wfv1.WorkflowTemplate {
	main := wfv1.Template{Container: &corev1.Container{Image: "any", Command: []string{"deploy"}}}
	if exitCode != "" {
		main.Metadata.Labels = map[string]string{"penstock.dev/test-exit-code": exitCode}
	}
	return workflowTemplate(name, main)
}

func workflowTemplate(name string, main wfv1.Template) *wfv1.WorkflowTemplate {
	main.Name = "main"
	return &wfv1.WorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       wfv1.WorkflowSpec{Entrypoint: main.Name, Templates: []wfv1.Template{main}},
	}
}
