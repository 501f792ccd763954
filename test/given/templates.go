package given

import (
	"fmt"
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

// BuildTemplate is a template of builds that needs no pod: after that long it gives the image,
// tagged with the build's name, and a digest that depends on the build's name.
func BuildTemplate(name, image string, takes time.Duration) *wfv1.WorkflowTemplate {
	output := func(parameter, expression string) wfv1.Parameter {
		return wfv1.Parameter{Name: parameter, GlobalName: parameter, ValueFrom: &wfv1.ValueFrom{Expression: expression}}
	}
	template := workflowTemplate(name, wfv1.Template{
		Inputs: wfv1.Inputs{Parameters: []wfv1.Parameter{{Name: "build", Value: wfv1.AnyStringPtr("{{workflow.parameters.build}}")}}},
		Steps:  []wfv1.ParallelSteps{{Steps: []wfv1.WorkflowStep{{Name: "wait", Template: "wait"}}}},
		Outputs: wfv1.Outputs{Parameters: []wfv1.Parameter{
			output("image", fmt.Sprintf("'%s:' + inputs.parameters.build", image)),
			output("digest", "'sha256:' + sprig.sha256sum(inputs.parameters.build)"),
		}},
	})
	template.Spec.Templates = append(template.Spec.Templates, wfv1.Template{Name: "wait", Suspend: &wfv1.SuspendTemplate{Duration: takes.String()}})
	return template
}
