// Package expression compiles what users write in CEL, so that it ends soon and takes little
// memory whatever it says.
package expression

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
	"k8s.io/utils/lru"
)

// What an expression may use. All limits are counted, none is timed: what an expression says
// never depends on how busy the machine is, and CEL has nothing that runs for ever.
const (
	// CostLimit is in CEL's cost units; comparing a few strings takes tens.
	CostLimit = 100_000
	// memoryLimit bounds each value, in elements of lists and tens of
	// characters. CEL's cost of adding lists is 1 whatever their length, so that lists
	// would double for free; and a cost is counted after the call, so that the last
	// call may yield as much as this times the expression's own length.
	memoryLimit = 1000
	// depthLimit bounds how deep an expression nests: what CEL takes to check
	// the types of nested lists grows with the third power of their depth.
	depthLimit = 50
	// regexLimit bounds a regular expression, in instructions of its
	// program: a match steps through all of them for each character, which its cost
	// does not tell.
	regexLimit = 1000
	// cacheSize bounds the compiled expressions kept.
	cacheSize = 4096
)

// ErrTooExpensive means that an expression was broken off at one of the limits.
var ErrTooExpensive = errors.New("too expensive")

// Compiler compiles expressions of one environment and keeps them. It is safe for concurrent
// use.
type Compiler struct {
	env      *cel.Env
	compiled *lru.Cache
}

type compiled struct {
	program cel.Program
	err     error
}

// NewCompiler returns a compiler for expressions over the variables that the options declare.
func NewCompiler(options ...cel.EnvOption) (*Compiler, error) {
	env, err := cel.NewEnv(append([]cel.EnvOption{
		ext.Strings(), cel.ParserRecursionLimit(depthLimit), cel.RegexProgramSizeLimit(regexLimit),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("create CEL environment: %w", err)
	}
	return &Compiler{env: env, compiled: lru.New(cacheSize)}, nil
}

// Compile returns the program of an expression that yields a boolean, or cel.DynType, which is
// anything.
func (c *Compiler) Compile(expression string, yields *cel.Type) (cel.Program, error) {
	key := yields.String() + ":" + expression
	if cached, ok := c.compiled.Get(key); ok {
		return cached.(compiled).program, cached.(compiled).err
	}
	program, err := c.compile(expression, yields)
	c.compiled.Add(key, compiled{program, err})
	return program, err
}

func (c *Compiler) compile(expression string, yields *cel.Type) (cel.Program, error) {
	ast, issues := c.env.Compile(expression)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if yields == cel.BoolType && ast.OutputType() != yields {
		return nil, fmt.Errorf("yields %s, want a boolean", ast.OutputType())
	}
	return c.env.Program(ast, cel.CostLimit(CostLimit), cel.MemoryLimit(memoryLimit))
}

// Judge wraps what ended an evaluation: in ErrTooExpensive where that was a limit.
func Judge(err error) error {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return fmt.Errorf("%w: %w", ErrTooExpensive, err)
	}
	return err
}
