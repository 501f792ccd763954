package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/preview"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/rights"
)

const (
	// maxPreviewEvents is how many events of a build a preview reads.
	maxPreviewEvents = 5000
	// maxExpression bounds an expression, in bytes, as the kind does.
	maxExpression = 4096
)

// PreviewNotificationsInput is a policy, and the build to try it on.
type PreviewNotificationsInput struct {
	InNamespace

	Body rest.NotificationPreviewRequest
}

// allow asks for the rights of get-build as well, since the messages tell what it answers.
func (in *PreviewNotificationsInput) allow(ctx context.Context, gate gate) error {
	return gate.require(ctx,
		rights.Need{Verb: "list", Resource: "notifications", Namespace: in.Namespace},
		rights.Need{Verb: "get", Resource: "cibuilds", Namespace: in.Namespace, Name: in.Body.Build},
		rights.Need{Verb: "list", Resource: "decisions", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "runs", Namespace: in.Namespace},
		rights.Need{Verb: "list", Resource: "events", Namespace: in.Namespace})
}

func previewNotifications(api huma.API, b *Backend) {
	slots := make(chan struct{}, b.MaxPreviews)
	post(api, b, names{
		id: "preview-notifications", path: "/api/v1/namespaces/{namespace}/notifications/preview", summary: "See what a policy would tell of a build",
		description: "The messages that a NotificationPolicy would send of a build, or why it would send none. Nothing is sent or kept, and the policy need not exist. " +
			"Needs `list` on `notifications`, and what `get-build` needs.",
	}, func(ctx context.Context, b *Backend, in *PreviewNotificationsInput) (*rest.NotificationPreview, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return answerPreview(ctx, b, in)
		default:
			return nil, problem.Later(http.StatusServiceUnavailable, b.RetryAfter, "other previews are under way: try again later")
		}
	})
}

func answerPreview(ctx context.Context, b *Backend, in *PreviewNotificationsInput) (*rest.NotificationPreview, error) {
	policy, err := in.policy()
	if err != nil {
		return nil, err
	}
	if _, err := b.Expressions.Policy(policy); err != nil {
		return nil, badField(err)
	}
	build, err := b.View.BuildByName(ctx, in.Namespace, in.Body.Build)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, view.Timeout)
	defer cancel()
	told, err := b.Outbox.ToldOfBuild(ctx, in.Namespace, build.Name, build.UID, maxPreviewEvents)
	if err != nil {
		return nil, err
	}
	made, err := preview.Of(ctx, b.Expressions, preview.Input{Policy: policy, Items: told.Items, Build: told.Build, Labels: in.Body.Labels})
	if err != nil {
		return nil, err
	}
	if told.More {
		made.Notes = append(made.Notes, "the build has more events than a preview reads: the last ones are missing")
	}
	return previewOf(policy, made), nil
}

// policy decodes what was sent as the API server does, and checks what a preview needs.
func (in *PreviewNotificationsInput) policy() (*v1alpha1.NotificationPolicy, error) {
	policy := &v1alpha1.NotificationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: in.Namespace}}
	decoder := json.NewDecoder(bytes.NewReader(in.Body.Policy))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy.Spec); err != nil {
		field := ""
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			field = "." + wrong.Field
		}
		return nil, unprocessable("body.policy"+field, "it is no spec of a NotificationPolicy: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	by := []v1alpha1.GroupBy{
		"", v1alpha1.GroupByBuild, v1alpha1.GroupByPipeline, v1alpha1.GroupByApplication, v1alpha1.GroupByEnvironment, v1alpha1.GroupByNone,
	}
	switch {
	case len(policy.Spec.Filter) > maxExpression:
		return nil, unprocessable("body.policy.filter", "it is longer than 4096 bytes")
	case len(policy.Spec.Template.Title) > maxExpression:
		return nil, unprocessable("body.policy.template.title", "it is longer than 4096 bytes")
	case len(policy.Spec.Tells()) == 0:
		return nil, unprocessable("body.policy.events", "it must name at least one event")
	case !slices.Contains(by, policy.Spec.Group.By):
		return nil, unprocessable("body.policy.group.by", "it must be Build, Pipeline, Application, Environment or None")
	}
	return policy, nil
}

// badField is the refusal of an expression or a selector. The error begins with the field's
// path in a NotificationPolicy.
func badField(err error) error {
	field, why, found := strings.Cut(err.Error(), ": ")
	if !found {
		return unprocessable("body.policy", err.Error())
	}
	return unprocessable("body.policy"+strings.TrimPrefix(field, "spec"), why)
}

func unprocessable(location, why string) error {
	return huma.NewError(http.StatusUnprocessableEntity, "validation failed", &huma.ErrorDetail{Location: location, Message: why})
}

func previewOf(policy *v1alpha1.NotificationPolicy, made preview.Preview) *rest.NotificationPreview {
	answer := &rest.NotificationPreview{
		Messages: make([]rest.NotificationMessage, len(made.Messages)),
		Channels: append([]string{}, policy.Spec.Channels...), Notes: append([]string{}, made.Notes...),
	}
	for i, message := range made.Messages {
		answer.Messages[i] = rest.NotificationMessage{
			Group: message.Group, Type: message.Type, Level: string(message.Level), Title: message.Title, Omitted: message.Omitted,
			Details: make([]rest.NotificationDetail, len(message.Details)), Commands: append([]string{}, message.Commands...), Events: message.Events,
		}
		for j, detail := range message.Details {
			answer.Messages[i].Details[j] = rest.NotificationDetail{Name: detail.Name, Text: detail.Text}
		}
	}
	return answer
}
