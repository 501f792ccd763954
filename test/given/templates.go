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

// Declares has a template declare parameters.
func Declares(template *wfv1.WorkflowTemplate, parameters ...wfv1.Parameter) *wfv1.WorkflowTemplate {
	template.Spec.Arguments.Parameters = append(template.Spec.Arguments.Parameters, parameters...)
	return template
}

// OneOf is a parameter without a default that takes these values alone.
func OneOf(name string, values ...wfv1.AnyString) wfv1.Parameter {
	return wfv1.Parameter{Name: name, Enum: values}
}

func workflowTemplate(name string, main wfv1.Template) *wfv1.WorkflowTemplate {
	main.Name = "main"
	return &wfv1.WorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec:       wfv1.WorkflowSpec{Entrypoint: main.Name, Templates: []wfv1.Template{main}},
	}
}
