package route

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"google.golang.org/protobuf/types/known/structpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/expression"
	"github.com/penstock-cd/penstock/pkg/notify"
)

// Expressions evaluates what policies and channels say in CEL. It is safe for concurrent use.
type Expressions struct{ events, messages *expression.Compiler }

// NewExpressions returns an evaluator with an empty cache.
func NewExpressions() (*Expressions, error) {
	events, err := expression.NewCompiler(
		ext.NativeTypes(reflect.TypeFor[Item](), ext.ParseStructTags(true)),
		cel.Variable("event", cel.ObjectType("route.Item")),
	)
	if err != nil {
		return nil, err
	}
	messages, err := expression.NewCompiler(cel.Variable("message", cel.DynType))
	if err != nil {
		return nil, err
	}
	return &Expressions{events: events, messages: messages}, nil
}

// Policy is a NotificationPolicy that can be used.
type Policy struct {
	*v1alpha1.NotificationPolicy
	selector labels.Selector
	filter   cel.Program
}

// Policy returns a policy ready for use, or why it can't be used: the error names the field.
func (e *Expressions) Policy(object *v1alpha1.NotificationPolicy) (*Policy, error) {
	selector, err := metav1.LabelSelectorAsSelector(&object.Spec.Selector.LabelSelector)
	if err != nil {
		return nil, fmt.Errorf("spec.selector: %w", err)
	}
	policy := &Policy{NotificationPolicy: object, selector: selector}
	if object.Spec.Filter != "" {
		if policy.filter, err = e.events.Compile(object.Spec.Filter, cel.BoolType); err != nil {
			return nil, fmt.Errorf("spec.filter: %w", err)
		}
	}
	if object.Spec.Template.Title != "" {
		if err := e.Check(object.Spec.Template.Title); err != nil {
			return nil, fmt.Errorf("spec.template.title: %w", err)
		}
	}
	return policy, nil
}

// Matches tells whether the policy tells of an event of an object with these labels. A filter
// that gives no answer matches: what is told once too often does less harm than what is not.
func (p *Policy) Matches(item Item, objectLabels labels.Set) (bool, error) {
	selector := p.Spec.Selector
	if !slices.Contains(p.Spec.Tells(), item.Type) || !p.selector.Matches(objectLabels) ||
		!isOneOf(selector.Applications, item.Application) || !isOneOf(selector.Environments, item.Environment) || !isOneOf(selector.Pipelines, item.Pipeline) {
		return false, nil
	}
	if p.filter == nil {
		return true, nil
	}
	value, _, err := p.filter.Eval(map[string]any{"event": item})
	if err != nil {
		return true, fmt.Errorf("spec.filter: %w", expression.Judge(err))
	}
	matches, isBool := value.Value().(bool)
	return matches || !isBool, nil
}

// isOneOf tells whether a list is empty or holds the value.
func isOneOf(list []string, value string) bool {
	return len(list) == 0 || slices.Contains(list, value)
}

// MaxTitle bounds a title that a template makes, in bytes.
const MaxTitle = 300

// Title evaluates an expression over a message that yields a text, of which it returns MaxTitle
// bytes at most.
func (e *Expressions) Title(text string, message notify.Message) (string, error) {
	value, err := e.evaluate(text, message)
	if err != nil {
		return "", err
	}
	title, isText := value.Value().(string)
	if !isText {
		return "", fmt.Errorf("yields %s, want a string", value.Type().TypeName())
	}
	return clip.Text(title, MaxTitle), nil
}

// JSON evaluates an expression over a message that yields what can be JSON.
func (e *Expressions) JSON(body string, message notify.Message) (json.RawMessage, error) {
	value, err := e.evaluate(body, message)
	if err != nil {
		return nil, err
	}
	converted, err := value.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("yields what is no JSON: %w", err)
	}
	return converted.(*structpb.Value).MarshalJSON()
}

// Check tells why an expression over a message can't be used.
func (e *Expressions) Check(text string) error {
	_, err := e.messages.Compile(text, cel.DynType)
	return err
}

// evaluate sees a message as its JSON is.
func (e *Expressions) evaluate(text string, message notify.Message) (ref.Val, error) {
	program, err := e.messages.Compile(text, cel.DynType)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	var variables map[string]any
	if err := json.Unmarshal(encoded, &variables); err != nil {
		return nil, err
	}
	value, _, err := program.Eval(map[string]any{"message": variables})
	return value, expression.Judge(err)
}
