// Package preview makes the messages that a policy would send of one build, and sends nothing.
// It folds the build's events as the controller does, and is pure.
package preview

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
)

const (
	// MaxMessages is how many messages are made, and maxNotes how many notes.
	MaxMessages, maxNotes = 100, 20
)

// Input is a policy and what it is tried on.
type Input struct {
	Policy *v1alpha1.NotificationPolicy
	// Items are the build's events in their order, and Build is how far it is.
	Items []route.Item
	Build route.Build
	// Labels are those of the pipelines, by cdpipelines/NAME and cipipelines/NAME. Nil means
	// that they are not known.
	Labels map[string]map[string]string
}

// Message is a message, and the group of events that it tells of.
type Message struct {
	notify.Message

	Group  string
	Events int64
}

// Preview is what would be sent, and what a person should know of it.
type Preview struct {
	Messages []Message
	Notes    []string
}

// Of makes a preview. Its error says which field of the policy can't be used, as
// route.Expressions.Policy does, or is the context's.
func Of(ctx context.Context, expressions *route.Expressions, in Input) (Preview, error) {
	if _, err := expressions.Policy(in.Policy); err != nil {
		return Preview{}, err
	}
	object := in.Policy.DeepCopy()
	p := previewer{Input: in, expressions: expressions, notes: map[string]bool{}}
	if selector := object.Spec.Selector.LabelSelector; in.Labels == nil && len(selector.MatchLabels)+len(selector.MatchExpressions) > 0 {
		object.Spec.Selector.LabelSelector = metav1.LabelSelector{}
		p.note("the labels of spec.selector were left out of account, since the labels of the pipelines are not known")
	}
	policy, err := expressions.Policy(object)
	if err != nil {
		return Preview{}, err
	}
	notifications, err := p.fold(ctx, policy)
	if err != nil {
		return Preview{}, err
	}
	p.explain(notifications)
	return p.render(ctx, notifications)
}

type previewer struct {
	Input

	expressions *route.Expressions
	result      Preview
	notes       map[string]bool
	matched     int
}

// note adds a note once.
func (p *previewer) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !p.notes[text] && len(p.notes) < maxNotes {
		p.notes[text] = true
		p.result.Notes = append(p.result.Notes, text)
	}
}

// fold adds each event to its group at the time at which it happened. The channel is one
// without a name, which changes what it has sent.
func (p *previewer) fold(ctx context.Context, policy *route.Policy) ([]route.Notification, error) {
	target := route.NewTarget(p.Policy, "", v1alpha1.NotificationChannelSpec{})
	target.Updates = true
	var order []route.Notification
	last := map[route.Key]int{} // the place of each group's newest
	for _, item := range p.Items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		matches, err := policy.Matches(item, p.labelsOf(item))
		if err != nil {
			p.note("an event is told, though the filter fails for it: %s", err)
		}
		if matches {
			p.matched++
		}
		if !matches && !target.Extends(item) {
			continue
		}
		key := target.Key(item)
		var newest *route.Notification
		place, known := last[key]
		if known {
			newest = &order[place]
		}
		next, isTold := target.Add(newest, item, matches, item.At)
		switch {
		case !isTold:
		case known && next.Seq == newest.Seq:
			order[place] = next
		default:
			last[key], order = len(order), append(order, next)
		}
	}
	return order, nil
}

func (p *previewer) labelsOf(item route.Item) labels.Set {
	if item.Pipeline != "" {
		return p.Labels["cdpipelines/"+item.Pipeline]
	}
	return p.Labels["cipipelines/"+item.CiPipeline]
}

// explain says why nothing is told, and what is not final.
func (p *previewer) explain(notifications []route.Notification) {
	happened := map[v1alpha1.NotificationEvent]int{}
	var order []string
	for _, item := range p.Items {
		if happened[item.Type]++; happened[item.Type] == 1 {
			order = append(order, string(item.Type))
		}
	}
	on := make([]string, len(p.Policy.Spec.Tells()))
	told := false
	for i, event := range p.Policy.Spec.Tells() {
		on[i], told = string(event), told || happened[event] > 0
	}
	switch {
	case p.Policy.Spec.Suspend:
		p.note("the policy tells nothing while spec.suspend is true")
	case len(p.Items) == 0:
		p.note("nothing is told: nothing has happened to the build that a policy can tell of")
	case p.matched == 0 && !told:
		p.note("nothing is told: spec.events is %s, and what has happened is %s", strings.Join(on, ", "), strings.Join(order, ", "))
	case p.matched == 0:
		p.note("nothing is told: spec.selector or spec.filter lets none of the build's events pass")
	case happened[v1alpha1.EventTriggersCompleted] == 0 && p.Build.Triggers.Total > 0:
		p.note("the build's runs have not ended: the figures are those of now")
	}
	if len(notifications) > MaxMessages {
		p.note("%d more messages are not shown", len(notifications)-MaxMessages)
	}
}

func (p *previewer) render(ctx context.Context, notifications []route.Notification) (Preview, error) {
	for _, notification := range notifications[:min(len(notifications), MaxMessages)] {
		if err := ctx.Err(); err != nil {
			return Preview{}, err
		}
		if count := len(notification.Items); count > 0 {
			notification.CreatedAt, notification.ChangedAt = notification.Items[0].At, notification.Items[count-1].At
		}
		message := notification.Message(&p.Build)
		if text := p.Policy.Spec.Template.Title; text != "" {
			title, err := p.expressions.Title(text, message)
			if err != nil { // as when it is sent
				p.note("the title is that of every policy, since spec.template.title fails: %s", err)
			} else {
				message.Title = title
			}
		}
		p.result.Messages = append(p.result.Messages, Message{Message: message, Group: groupOf(notification), Events: notification.Events})
	}
	return p.result, nil
}

// groupOf names a build as people do.
func groupOf(notification route.Notification) string {
	if strings.HasPrefix(notification.Group, "build/") && len(notification.Items) > 0 {
		return "build/" + notification.Items[0].Build
	}
	return notification.Group
}
