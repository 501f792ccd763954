package argo

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// declared is a parameter of a template's spec.arguments, as far as it is checked. Inputs of
// the templates inside of it are not: Argo gives them values while it runs.
type declared struct {
	name string
	// value is the template's own; nil where it has none.
	value *string
	// hasSource tells that Argo reads a value from a ConfigMap where none is passed. It reads
	// neither default nor valueFrom.default of an argument without one, and refuses a source
	// beside an enum (Argo's validateArgumentsValues and setGlobalParameters).
	hasSource bool
	enum      []string
}

// declaredIn returns the parameters as the template has them.
func declaredIn(template *unstructured.Unstructured) []any {
	found, _, err := unstructured.NestedFieldNoCopy(template.Object, "spec", "arguments", "parameters")
	if err != nil {
		return nil // Argo will say what is wrong with it
	}
	list, _ := found.([]any)
	return list
}

// HaveSameParameters tells whether two states of a template declare the same parameters.
func HaveSameParameters(a, b *unstructured.Unstructured) bool {
	return reflect.DeepEqual(declaredIn(a), declaredIn(b))
}

func parse(list []any) []declared {
	parameters := make([]declared, 0, len(list))
	for _, one := range list {
		fields, _ := one.(map[string]any)
		name, _ := fields["name"].(string)
		if name == "" {
			continue
		}
		parameter := declared{name: name, value: text(fields["value"])}
		source, _ := fields["valueFrom"].(map[string]any)
		allowed, _ := fields["enum"].([]any)
		parameter.hasSource = source["configMapKeyRef"] != nil && len(allowed) == 0
		for _, value := range allowed {
			if value := text(value); value != nil {
				parameter.enum = append(parameter.enum, *value)
			}
		}
		parameters = append(parameters, parameter)
	}
	return parameters
}

// text is a value as Argo reads it (wfv1.AnyString); nil where there is none.
func text(value any) *string {
	switch value := value.(type) {
	case string:
		return &value
	case bool:
		return new(strconv.FormatBool(value))
	case int64:
		return new(strconv.FormatFloat(float64(value), 'f', -1, 64))
	case float64:
		return new(strconv.FormatFloat(value, 'f', -1, 64))
	default:
		return nil
	}
}

// checked is a stage whose parameters are compared with those that its template declares.
type checked struct {
	template string // kind and name
	stage    trigger.Stage
	passed   map[string]string
}

// problems says which parameters have no value, or one that the template's enum does not
// hold. A parameter that the template does not declare is none: Argo takes it.
func (c checked) problems(parameters []declared) []string {
	var problems []string
	for _, parameter := range parameters {
		value, isPassed := c.passed[parameter.name]
		switch {
		case isPassed && !allows(parameter.enum, value):
			problems = append(problems, fmt.Sprintf("parameter %s is %q, and %s allows %s: %s",
				parameter.name, clip.Text(value, maxValue), c.template, listed(parameter.enum), c.mend(parameter.name).correct))
		case isPassed:
		case parameter.value == nil && !parameter.hasSource:
			problems = append(problems, fmt.Sprintf("parameter %s has no value, and %s gives it none%s: %s",
				parameter.name, c.template, only(parameter.enum), either(c.mend(parameter.name).set, "give it a value in the template")))
		case parameter.value != nil && !allows(parameter.enum, *parameter.value):
			problems = append(problems, fmt.Sprintf("parameter %s is %q in %s, which allows %s: %s",
				parameter.name, clip.Text(*parameter.value, maxValue), c.template, listed(parameter.enum), either(c.mend(parameter.name).set, "correct the template")))
		}
	}
	return problems
}

// allows tells whether the value may be one of the enum's. Expressions are Argo's to evaluate.
func allows(enum []string, value string) bool {
	return len(enum) == 0 || slices.Contains(enum, value) || strings.Contains(value, "{{")
}

const (
	// maxValue bounds, in bytes, what a message tells of a value; maxListed how many
	// allowed values it names, and how many parameters.
	maxValue, maxListed = 100, 10
)

func only(enum []string) string {
	if len(enum) == 0 {
		return ""
	}
	return " and allows " + listed(enum)
}

func listed(enum []string) string {
	var values []string
	for _, value := range enum[:min(len(enum), maxListed)] {
		values = append(values, strconv.Quote(clip.Text(value, maxValue)))
	}
	list := strings.Join(values, ", ")
	if more := len(enum) - maxListed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// either joins two remedies, of which the first may be empty.
func either(first, second string) string {
	if first == "" {
		return second
	}
	return first + ", or " + second
}

// mending is where to set a parameter that has no value, which may be nowhere, and how to
// correct one whose value is not allowed.
type mending struct{ set, correct string }

// mend says where a parameter comes from, and so what to do.
func (c checked) mend(parameter string) mending {
	inTemplate := "correct the template's enum"
	if c.stage == trigger.StageBuild {
		return mendBuild(parameter)
	}
	switch parameter {
	case "environment", "application":
		return mending{"set spec." + parameter, "correct spec." + parameter + " or the template's enum"}
	case "revision":
		return mending{"set spec.revision in new CiBuilds, since it can't be changed later", "build another revision, or " + inTemplate}
	case "artifacts":
		return mending{"set spec.artifacts to All", inTemplate}
	case "image", "digest", "stage", "build":
		return mending{"", inTemplate}
	}
	field := "spec." + stageFields[c.stage] + ".workflow.parameters"
	return mending{"set it in " + field, "correct " + field + " or the template's enum"}
}

// mendBuild is mend for a build.
func mendBuild(parameter string) mending {
	const inTemplate = "correct the template's enum"
	switch parameter {
	case "url":
		return mending{"set spec.source.url of the CiPipeline", "correct spec.source.url of the CiPipeline or the template's enum"}
	case "revision":
		return mending{"set spec.revision in new CiBuilds, or spec.source.revision of the CiPipeline", "build another revision, or " + inTemplate}
	case "ref":
		return mending{"set spec.ref in new CiBuilds", "build another ref, or " + inTemplate}
	case "build", "cause", "baseImages":
		return mending{"", inTemplate}
	}
	return mending{"set it in spec.workflow.parameters of the CiPipeline", "correct spec.workflow.parameters of the CiPipeline or the template's enum"}
}

var stageFields = map[trigger.Stage]string{trigger.StagePre: "preDeploy", trigger.StageDeploy: "deploy", trigger.StagePost: "postDeploy"}

// problemsOf compares the parameters of a Workflow with those that its template declares.
func problemsOf(template *unstructured.Unstructured, stage trigger.Stage, passed []wfv1.Parameter) string {
	parameters := parse(declaredIn(template))
	if len(parameters) == 0 {
		return ""
	}
	check := checked{template: template.GetKind() + " " + template.GetName(), stage: stage, passed: map[string]string{}}
	for _, parameter := range passed {
		check.passed[parameter.Name] = parameter.Value.String()
	}
	problems := check.problems(parameters)
	if more := len(problems) - maxListed; more > 0 {
		problems = append(problems[:maxListed], fmt.Sprintf("%d more parameters have no value, or one that is not allowed", more))
	}
	return strings.Join(problems, "; ")
}

// unknown stands for what only a build gives: it counts as set, and every enum allows it.
const unknown = "{{unknown}}"

// Unready says why a stage of a pipeline can't run, whatever the build gives: its template
// does not exist, or a parameter is missing or not allowed. The reason is empty where it can.
func Unready(ctx context.Context, reader client.Reader, pipeline *v1alpha1.CdPipeline, stage trigger.Stage) (v1alpha1.Reason, string, error) {
	spec := trigger.StageSpec(pipeline, stage)
	template, err := findTemplate(ctx, reader, pipeline.Namespace, spec.Workflow.TemplateRef)
	if err != nil {
		return "", "", err
	}
	if template == nil {
		return v1alpha1.ReasonTemplateNotFound, missingTemplate("", spec.Workflow.TemplateRef).Message, nil
	}
	inputs := trigger.Inputs{Build: unknown, Image: unknown, Digest: unknown, Revision: unknown, Stage: stage}
	if pipeline.Spec.Artifacts == v1alpha1.ArtifactsAll {
		inputs.All, inputs.Artifacts = true, []v1alpha1.Artifact{{Image: unknown}}
	}
	problems := problemsOf(template, stage, parameters(store.Claim{Inputs: inputs}, pipeline, spec))
	if problems == "" {
		return "", "", nil
	}
	return v1alpha1.ReasonInvalidParameters, problems, nil
}
