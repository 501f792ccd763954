package notify

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
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
	build := store.BuildToTell(notification.Items, summaries[notification.BuildUID])
	var pipeline v1alpha1.CiPipeline
	key := types.NamespacedName{Namespace: notification.Namespace, Name: notification.Items[0].CiPipeline}
	if err := n.Cache.Get(ctx, key, &pipeline); err == nil && pipeline.Spec.Source != nil {
		build.Repository = pipeline.Spec.Source.URL
	} else if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	return &build, nil
}
