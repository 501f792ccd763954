package trigger

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
	"k8s.io/utils/lru"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// What a filter may use. All limits are counted, none is timed: what a filter says
// never depends on how busy the machine is, and CEL has nothing that runs for ever.
const (
	// filterCostLimit is in CEL's cost units; comparing a few strings takes tens.
	filterCostLimit = 100_000
	// filterMemoryLimit bounds each value, in elements of lists and tens of
	// characters. CEL's cost of adding lists is 1 whatever their length, so that lists
	// would double for free; and a cost is counted after the call, so that the last
	// call may yield as much as this times the filter's own length.
	filterMemoryLimit = 1000
	// filterDepthLimit bounds how deep a filter nests: what CEL takes to check
	// the types of nested lists grows with the third power of their depth.
	filterDepthLimit = 50
	// filterRegexLimit bounds a regular expression, in instructions of its
	// program: a match steps through all of them for each character, which its cost
	// does not tell.
	filterRegexLimit = 1000
	// filterCacheSize bounds the compiled filters kept.
	filterCacheSize = 4096
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
	env      *cel.Env
	compiled *lru.Cache
}

type compiledFilter struct {
	program cel.Program
	err     *FilterError
}

// NewFilters returns an evaluator with an empty cache.
func NewFilters() (*Filters, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(
			reflect.TypeFor[FilterArtifact](), reflect.TypeFor[FilterBuild](), reflect.TypeFor[FilterPipeline](),
			ext.ParseStructTags(true),
		),
		ext.Strings(),
		cel.ParserRecursionLimit(filterDepthLimit),
		cel.RegexProgramSizeLimit(filterRegexLimit),
		cel.Variable("artifact", cel.ObjectType("trigger.FilterArtifact")),
		cel.Variable("build", cel.ObjectType("trigger.FilterBuild")),
		cel.Variable("pipeline", cel.ObjectType("trigger.FilterPipeline")),
	)
	if err != nil {
		return nil, fmt.Errorf("create filter environment: %w", err)
	}
	return &Filters{env: env, compiled: lru.New(filterCacheSize)}, nil
}

// Check returns nil where the filter compiles to a boolean, else a *FilterError
// with reason InvalidFilter. The empty filter is valid.
func (f *Filters) Check(expression string) error {
	if expression == "" {
		return nil
	}
	if compiled := f.compile(expression); compiled.err != nil {
		return compiled.err
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
	compiled := f.compile(pipeline.Spec.Filter)
	if compiled.err != nil {
		return false, 0, compiled.err
	}
	value, details, err := compiled.program.Eval(filterInput(build, artifact, pipeline))
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
		return filterCostLimit
	}
	if details == nil || details.ActualCost() == nil {
		return 0
	}
	return *details.ActualCost()
}

func (f *Filters) compile(expression string) compiledFilter {
	if cached, ok := f.compiled.Get(expression); ok {
		return cached.(compiledFilter)
	}
	compiled := f.compileAnew(expression)
	f.compiled.Add(expression, compiled)
	return compiled
}

func (f *Filters) compileAnew(expression string) compiledFilter {
	invalid := func(err error) compiledFilter {
		return compiledFilter{err: &FilterError{Reason: v1alpha1.ReasonInvalidFilter, Err: err}}
	}
	ast, issues := f.env.Compile(expression)
	if issues.Err() != nil {
		return invalid(issues.Err())
	}
	if ast.OutputType() != cel.BoolType {
		return invalid(fmt.Errorf("yields %s, want a boolean", ast.OutputType()))
	}
	program, err := f.env.Program(ast, cel.CostLimit(filterCostLimit), cel.MemoryLimit(filterMemoryLimit))
	if err != nil {
		return invalid(err)
	}
	return compiledFilter{program: program}
}

func filterInput(build Build, artifact v1alpha1.Artifact, pipeline *v1alpha1.CdPipeline) map[string]any {
	return map[string]any{
		"artifact": FilterArtifact{Image: artifact.Image, Digest: artifact.Digest},
		"build": FilterBuild{
			Name: build.Name, Namespace: build.Namespace, Pipeline: build.CiPipeline,
			Revision: build.Revision, Cause: build.Cause,
		},
		"pipeline": FilterPipeline{
			Name: pipeline.Name, Namespace: pipeline.Namespace,
			Application: Application(pipeline), Environment: pipeline.Spec.Environment,
		},
	}
}

func runtimeFilterError(err error) *FilterError {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return &FilterError{Reason: v1alpha1.ReasonFilterTooExpensive, Err: err}
	}
	return &FilterError{Reason: v1alpha1.ReasonFilterFailed, Err: err}
}
