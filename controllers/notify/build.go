package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	sending "github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

// build is what the rows say of a notification's build; nil where it is of none.
func (n *Notifier) build(ctx context.Context, notification route.Notification) (*route.Build, error) {
	if notification.BuildUID == "" || len(notification.Items) == 0 {
		return nil, nil
	}
	var summaries map[string]*store.Summary
	err := n.withRows(func() (err error) {
		summaries, err = n.Rows.Summaries(ctx, []string{notification.BuildUID})
		return err
	})
	if err != nil {
		return nil, err
	}
	build := BuildOf(notification.Items, summaries[notification.BuildUID])
	var pipeline v1alpha1.CiPipeline
	key := types.NamespacedName{Namespace: notification.Namespace, Name: notification.Items[0].CiPipeline}
	if err := n.Cache.Get(ctx, key, &pipeline); err == nil && pipeline.Spec.Source != nil {
		build.Repository = pipeline.Spec.Source.URL
	} else if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	return &build, nil
}

// BuildOf is what a message says of a build. summary is nil where the build is not planned.
func BuildOf(items []route.Item, summary *store.Summary) route.Build {
	build := route.Build{Phase: string(v1alpha1.BuildSucceeded)}
	for _, item := range items {
		if item.Type == v1alpha1.EventBuildFailed {
			build.Phase = item.Reason
		}
	}
	if summary == nil {
		return build
	}
	build.Triggers = summary.Triggers
	for _, failure := range summary.Failures {
		if failure.Status != store.StatusFailed && failure.Status != store.StatusError {
			continue
		}
		if !slices.Contains(build.FailedPipelines, failure.Pipeline) {
			build.FailedPipelines = append(build.FailedPipelines, failure.Pipeline)
		}
		build.Failures = append(build.Failures, sending.Detail{
			Name: failure.Pipeline, Text: fmt.Sprintf("stage %s ended as %s: %s: %s", failure.Stage, failure.Status, failure.Reason, failure.Message),
		})
	}
	for _, held := range summary.Held {
		build.Waits = append(build.Waits, wait(held.Count, held.Examples, string(held.Reason), ""))
	}
	for _, delayed := range summary.Delayed {
		build.Waits = append(build.Waits, wait(delayed.Count, delayed.Examples, string(delayed.Reason), delayed.Message))
	}
	return build
}

func wait(count int64, examples []string, reason, message string) sending.Detail {
	detail := sending.Detail{Name: strings.Join(examples, ", "), Text: "waits: " + reason}
	if count > int64(len(examples)) {
		detail.Name += ", …"
	}
	if message != "" {
		detail.Text += ": " + message
	}
	return detail
}
