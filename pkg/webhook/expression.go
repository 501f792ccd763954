package webhook

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/expression"
)

// Expressions evaluates what Receivers say in CEL. It is safe for concurrent use.
type Expressions struct{ compiler *expression.Compiler }

// NewExpressions returns an evaluator with an empty cache. Expressions see body, the payload as
// its JSON is, and event, the name that the sender gives it.
func NewExpressions() (*Expressions, error) {
	compiler, err := expression.NewCompiler(cel.Variable("body", cel.DynType), cel.Variable("event", cel.StringType))
	if err != nil {
		return nil, err
	}
	return &Expressions{compiler: compiler}, nil
}

// Check tells why a Receiver's expressions can't be used; the error names the field.
func (e *Expressions) Check(spec v1alpha1.ReceiverSpec) error {
	if spec.Filter != "" {
		if _, err := e.compiler.Compile(spec.Filter, cel.BoolType); err != nil {
			return fmt.Errorf("spec.filter: %w", err)
		}
	}
	for _, field := range mappingFields(spec.Mapping) {
		if field.text == "" {
			continue
		}
		if _, err := e.compiler.Compile(field.text, cel.DynType); err != nil {
			return fmt.Errorf("spec.mapping.%s: %w", field.name, err)
		}
	}
	return nil
}

// Apply returns the event as the Receiver has it: Ignored where it does not take it, and with
// what its mapping adds. The payload is read only where there is an expression. Every error is
// final: the same delivery gives the same one.
func (e *Expressions) Apply(event Event, payload []byte, spec v1alpha1.ReceiverSpec) (Event, error) {
	if event.Kind == Ping || event.Kind == Ignored {
		return event, nil
	}
	if !takes(spec.Events, event.Name) {
		return event.ignored("the receiver does not take the event " + event.Name), nil
	}
	maps := spec.Mapping != nil
	if spec.Filter == "" && !maps {
		return event.unlessUnmapped(), nil
	}
	var body any
	if err := decode(payload, &body); err != nil {
		return event, err
	}
	variables := map[string]any{"body": body, "event": event.Name}
	if matches, err := e.matches(spec.Filter, variables); err != nil || !matches {
		return event.ignored("the filter does not match"), err
	}
	if !maps {
		return event.unlessUnmapped(), nil
	}
	return e.mapped(event, variables, spec.Mapping)
}

// unlessUnmapped ignores what only a mapping could give a meaning.
func (e Event) unlessUnmapped() Event {
	if e.Kind == Unmapped {
		return e.ignored("no mapping tells what it means")
	}
	return e
}

// takes tells whether a list of events is empty, or holds the name or its beginning up to a
// dot: events of CDEvents end with their version.
func takes(list []string, name string) bool {
	for _, one := range list {
		if one == name || strings.HasPrefix(name, one+".") {
			return true
		}
	}
	return len(list) == 0
}

func (e *Expressions) matches(filter string, variables map[string]any) (bool, error) {
	if filter == "" {
		return true, nil
	}
	program, err := e.compiler.Compile(filter, cel.BoolType)
	if err != nil {
		return false, fmt.Errorf("spec.filter: %w", err)
	}
	value, _, err := program.Eval(variables)
	if err != nil {
		return false, fmt.Errorf("spec.filter: %w", expression.Judge(err))
	}
	return value == types.True, nil
}

// text evaluates an expression that yields a text; null and the empty expression are none.
func (e *Expressions) text(field mappingField, variables map[string]any) (string, error) {
	if field.text == "" {
		return "", nil
	}
	program, err := e.compiler.Compile(field.text, cel.DynType)
	if err != nil {
		return "", fmt.Errorf("spec.mapping.%s: %w", field.name, err)
	}
	value, _, err := program.Eval(variables)
	if err != nil {
		return "", fmt.Errorf("spec.mapping.%s: %w", field.name, expression.Judge(err))
	}
	if value == types.NullValue {
		return "", nil
	}
	text, isText := value.Value().(string)
	if !isText {
		return "", fmt.Errorf("spec.mapping.%s: yields %s, want a string", field.name, value.Type().TypeName())
	}
	if len(text) > field.most {
		return "", fmt.Errorf("spec.mapping.%s: yields %d bytes, want %d at most", field.name, len(text), field.most)
	}
	return text, nil
}
