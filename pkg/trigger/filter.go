package trigger

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/expression"
)

// FilterArtifact is `artifact` in a filter.
type FilterArtifact struct {
	Image  string `cel:"image"`
	Digest string `cel:"digest"`
}

// FilterBuild is `build` in a filter.
type FilterBuild struct {
	Name      string `cel:"name"`
	Namespace string `cel:"namespace"`
	Pipeline  string `cel:"pipeline"`
	Revision  string `cel:"revision"`
	Ref       string `cel:"ref"`
	Cause     string `cel:"cause"`
}

// FilterPipeline is `pipeline` in a filter.
type FilterPipeline struct {
	Name        string `cel:"name"`
	Namespace   string `cel:"namespace"`
	Application string `cel:"application"`
	Environment string `cel:"environment"`
}

// FilterError is a filter that gave no answer.
type FilterError struct {
	// Reason is InvalidFilter, FilterFailed or FilterTooExpensive.
	Reason v1alpha1.Reason
	Err    error
}

func (e *FilterError) Error() string { return fmt.Sprintf("spec.filter: %v", e.Err) }

// Unwrap returns what CEL said.
func (e *FilterError) Unwrap() error { return e.Err }

// Filters compiles and evaluates the CEL filters of CdPipelines. It is safe for
// concurrent use.
type Filters struct {
	compiler *expression.Compiler
}

// NewFilters returns an evaluator with an empty cache.
func NewFilters() (*Filters, error) {
	compiler, err := expression.NewCompiler(
		ext.NativeTypes(
			reflect.TypeFor[FilterArtifact](), reflect.TypeFor[FilterBuild](), reflect.TypeFor[FilterPipeline](),
			ext.ParseStructTags(true),
		),
		cel.Variable("artifact", cel.ObjectType("trigger.FilterArtifact")),
		cel.Variable("build", cel.ObjectType("trigger.FilterBuild")),
		cel.Variable("pipeline", cel.ObjectType("trigger.FilterPipeline")),
	)
	if err != nil {
		return nil, err
	}
	return &Filters{compiler: compiler}, nil
}

// Check returns nil where the filter compiles to a boolean, else a *FilterError
// with reason InvalidFilter. The empty filter is valid.
func (f *Filters) Check(filter string) error {
	if filter == "" {
		return nil
	}
	if _, err := f.compile(filter); err != nil {
		return err
	}
	return nil
}

// Matches evaluates the pipeline's filter; the empty filter matches. Every error
// is a *FilterError.
func (f *Filters) Matches(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) (bool, error) {
	matched, _, err := f.evaluate(build, artifact, pipeline)
	return matched, err
}

// evaluate is Matches, and what that cost.
func (f *Filters) evaluate(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) (matched bool, cost uint64, err error) {
	if pipeline.Spec.Filter == "" {
		return true, 0, nil
	}
	program, invalid := f.compile(pipeline.Spec.Filter)
	if invalid != nil {
		return false, 0, invalid
	}
	value, details, err := program.Eval(filterInput(build, artifact, pipeline))
	if err != nil {
		filterError := runtimeFilterError(err)
		return false, costOf(details, filterError), filterError
	}
	matched, isBool := value.Value().(bool)
	if !isBool {
		err = &FilterError{Reason: v1alpha1.ReasonFilterFailed, Err: fmt.Errorf("yielded %s, want a boolean", value.Type().TypeName())}
	}
	return matched, costOf(details, nil), err
}

// costOf is what an evaluation cost; one that was broken off has cost all that it may.
func costOf(details *cel.EvalDetails, err *FilterError) uint64 {
	if err != nil && err.Reason == v1alpha1.ReasonFilterTooExpensive {
		return expression.CostLimit
	}
	if details == nil || details.ActualCost() == nil {
		return 0
	}
	return *details.ActualCost()
}

func (f *Filters) compile(filter string) (cel.Program, *FilterError) {
	program, err := f.compiler.Compile(filter, cel.BoolType)
	if err != nil {
		return nil, &FilterError{Reason: v1alpha1.ReasonInvalidFilter, Err: err}
	}
	return program, nil
}

func filterInput(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) map[string]any {
	return map[string]any{
		"artifact": FilterArtifact{Image: artifact.Image, Digest: artifact.Digest},
		"build": FilterBuild{
			Name: build.Name, Namespace: build.Namespace, Pipeline: build.CiPipeline,
			Revision: build.Revision, Ref: build.Ref, Cause: build.Cause,
		},
		"pipeline": FilterPipeline{
			Name: pipeline.Name, Namespace: pipeline.Namespace,
			Application: Application(pipeline), Environment: pipeline.Spec.Environment,
		},
	}
}

func runtimeFilterError(err error) *FilterError {
	if errors.Is(expression.Judge(err), expression.ErrTooExpensive) {
		return &FilterError{Reason: v1alpha1.ReasonFilterTooExpensive, Err: err}
	}
	return &FilterError{Reason: v1alpha1.ReasonFilterFailed, Err: err}
}
